/// A JSON value. Whole numbers that fit 64 bits stay integers.
public enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  /// A number's text, if an integer or a double would be written differently (`Reading.exactNumbers`).
  case literal(String)
  case text(String)
  case list([JSONValue])
  case object([String: JSONValue])

  /// The value's type in words, for a message.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a truth value"
    case .integer, .number, .literal: "a number"
    case .text: "a string"
    case .list: "a list"
    case .object: "an object"
    }
  }

  /// The string, if the value is one.
  public var textValue: String? { if case .text(let text) = self { text } else { nil } }

  /// The list, if the value is one.
  public var listValue: [JSONValue]? { if case .list(let list) = self { list } else { nil } }

  /// The members, if the value is an object.
  public var objectValue: [String: JSONValue]? { if case .object(let members) = self { members } else { nil } }

  /// The whole number, if the value is one.
  public var integerValue: Int? { if case .integer(let integer) = self { integer } else { nil } }

  /// The number, whole or not, if the value is one; a literal beyond a double's range is infinite.
  public var numberValue: Double? {
    switch self {
    case .integer(let integer): Double(integer)
    case .number(let number): number
    case .literal(let text): Double(text)
    default: nil
    }
  }

  /// The truth value, if the value is one.
  public var boolValue: Bool? { if case .bool(let bool) = self { bool } else { nil } }

  /// Parses one JSON text (RFC 8259) in UTF-8.
  ///
  /// Duplicate keys, unpaired surrogates, strings that are not UTF-8, more than 256 nested levels and anything after the
  /// value are errors.
  public static func parse(_ bytes: some Collection<UInt8>, _ reading: Reading = []) throws(JSONSyntaxError)
    -> JSONValue
  {
    let result = Array(bytes).withUnsafeBytes { text in
      Result<JSONValue, JSONSyntaxError> { () throws(JSONSyntaxError) in
        var scanner = JSONScanner(text)
        let value = try scanner.value(reading)
        try scanner.expectEnd()
        return value
      }
    }
    return try result.get()
  }

  /// How numbers are read.
  public struct Reading: OptionSet, Sendable {
    /// `serialized` writes each number with the characters that were read.
    public static let exactNumbers = Reading(rawValue: 1)
    /// `NaN`, `Infinity` and `-Infinity`, which Python's `json` writes, are numbers; a number that is too large is infinite.
    public static let nonFiniteNumbers = Reading(rawValue: 2)

    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }
  }
}
