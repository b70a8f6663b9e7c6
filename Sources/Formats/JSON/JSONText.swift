/// The parts of a JSON text, for formats whose members have a fixed order. `JSONValue.serialized` sorts members by key.
package enum JSONText {
  /// Which characters of a string are escaped.
  package enum Escaping {
    /// Those that JSON demands, in two characters if there is such an escape: the bytes of the safetensors library.
    case minimal
    /// Also DEL and the line separators of Unicode, so that the text is one line to every reader of lines.
    case oneLine
  }

  /// `text` in quotes.
  package static func string(_ text: String, _ escaping: Escaping = .minimal) -> String {
    var result = ""
    append(text, escaping, to: &result)
    return result
  }

  /// An object of members that are JSON already, in this order.
  package static func object(_ members: [(key: String, value: String)], separator: String = ",") -> String {
    "{" + members.map { "\(string($0.key)):\($0.value)" }.joined(separator: separator) + "}"
  }

  /// A list of elements that are JSON already.
  package static func list(_ elements: [String], separator: String = ",") -> String {
    "[" + elements.joined(separator: separator) + "]"
  }

  /// A list of whole numbers.
  package static func list(_ numbers: [Int]) -> String { list(numbers.map(String.init)) }

  static func append(_ text: String, _ escaping: Escaping, to result: inout String) {
    result += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{8}" where escaping == .minimal: result += "\\b"
      case "\u{C}" where escaping == .minimal: result += "\\f"
      case "\u{0}"..<"\u{20}": appendUnit(scalar, to: &result)
      case "\u{7F}", "\u{2028}", "\u{2029}":
        if escaping == .oneLine { appendUnit(scalar, to: &result) } else { result.unicodeScalars.append(scalar) }
      default: result.unicodeScalars.append(scalar)
      }
    }
    result += "\""
  }

  private static func appendUnit(_ scalar: Unicode.Scalar, to result: inout String) {
    let digits = String(scalar.value, radix: 16)
    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
  }
}
