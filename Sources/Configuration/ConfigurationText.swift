/// Formats values as YAML, and user text for one-line messages.
package enum ConfigurationText {
  /// Text truncated to 60 characters, with spaces in place of control characters.
  package static func shortened(_ text: String) -> String {
    let line = String(text.map { $0.isNewline || $0.unicodeScalars.contains { $0.value < 32 } ? " " : $0 })
    return line.count > 60 ? line.prefix(57) + "..." : line
  }

  /// Text as a YAML scalar: plain if that is unambiguous, otherwise in double quotes.
  static func quoted(_ text: String) -> String {
    let letters = text.unicodeScalars
    let isPlain =
      letters.first.map { isASCIILetter($0) || $0 == "/" } ?? false
      && letters.allSatisfy { isASCIILetter($0) || ("0"..."9").contains($0) || "_-./".unicodeScalars.contains($0) }
      && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(text.lowercased())
    if isPlain { return text }
    var result = "\""
    for scalar in letters {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case " "..."~": result.unicodeScalars.append(scalar)
      default:
        let digits = String(scalar.value, radix: 16, uppercase: true)
        result += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
      }
    }
    return result + "\""
  }

  private static func isASCIILetter(_ scalar: Unicode.Scalar) -> Bool {
    ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
  }
}
