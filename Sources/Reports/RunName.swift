/// Rules for names of runs, which are names of directories in `logging.directory`.
public enum RunName {
  /// Maximum bytes; leaves room for the number that makes a name unique.
  private static let longest = 240

  public static let remedy = "use letters, digits, '-', '_' and '.'"

  /// Why `name` is not a valid name, as the end of a sentence about the name; nil if it is valid.
  public static func problem(_ name: String) -> String? {
    if name.isEmpty { return "is empty" }
    if name == "." || name == ".." { return "is '\(name)', which refers to another directory" }
    if name.utf8.contains(UInt8(ascii: "/")) { return "contains a slash" }
    if name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
      return "contains a control character"
    }
    if name.first?.isWhitespace == true || name.last?.isWhitespace == true { return "begins or ends with a space" }
    if name.utf8.count > longest { return "has \(name.utf8.count) bytes, more than \(longest)" }
    return nil
  }
}
