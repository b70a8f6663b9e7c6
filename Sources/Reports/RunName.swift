/// Names of runs: of directories under `logging.directory`.
public enum RunName {
  /// Room for the number of a run whose name is taken.
  private static let longest = 240

  public static let remedy = "use letters, digits, '-', '_' and '.'"

  /// Why `name` cannot be the name of a run, as the end of a sentence about it; nil if it can.
  public static func problem(_ name: String) -> String? {
    if name.isEmpty { return "is empty" }
    if name == "." || name == ".." { return "is '\(name)', which is another directory" }
    if name.utf8.contains(UInt8(ascii: "/")) { return "holds a slash" }
    if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
      return "holds a control character"
    }
    if name.first?.isWhitespace == true || name.last?.isWhitespace == true { return "begins or ends with a space" }
    if name.utf8.count > longest { return "has \(name.utf8.count) bytes, more than \(longest)" }
    return nil
  }
}
