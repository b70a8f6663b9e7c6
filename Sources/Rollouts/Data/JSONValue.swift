/// A JSON value, kept as it was written: whole numbers that fit 64 bits stay integers.
public enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  /// A number by its text, if an integer or a double would be written otherwise (`Reading.exactNumbers`).
  case literal(String)
  case text(String)
  case list([JSONValue])
  case object([String: JSONValue])

  /// What the value is, in words for an error line.
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

  /// The string, where the value is one.
  public var textValue: String? { if case .text(let text) = self { text } else { nil } }

  /// The list, where the value is one.
  public var listValue: [JSONValue]? { if case .list(let list) = self { list } else { nil } }

  /// The members, where the value is an object.
  public var objectValue: [String: JSONValue]? { if case .object(let members) = self { members } else { nil } }

  /// The whole number, where the value is one.
  public var integerValue: Int? { if case .integer(let integer) = self { integer } else { nil } }

  /// The number, whole or not, where the value is one; a literal beyond a double's range is infinite.
  public var numberValue: Double? {
    switch self {
    case .integer(let integer): Double(integer)
    case .number(let number): number
    case .literal(let text): Double(text)
    default: nil
    }
  }

  /// The truth value, where the value is one.
  public var boolValue: Bool? { if case .bool(let bool) = self { bool } else { nil } }

  /// Parses one JSON text (RFC 8259) of UTF-8 bytes that the caller has checked to be UTF-8.
  ///
  /// Duplicate keys, unpaired surrogates, more than 256 nested levels and anything after the value are errors.
  public static func parse(_ bytes: some Collection<UInt8>, _ reading: Reading = []) throws(JSONSyntaxError)
    -> JSONValue
  {
    var parser = JSONParser(bytes: Array(bytes), reading)
    return try parser.parseText()
  }

  /// How numbers are read.
  public struct Reading: OptionSet, Sendable {
    /// Numbers pass through: `serialized` writes each with the characters that were read.
    public static let exactNumbers = Reading(rawValue: 1)
    /// `NaN`, `Infinity` and `-Infinity`, which Python's `json` writes, are numbers; one that is too large is infinite.
    public static let nonFiniteNumbers = Reading(rawValue: 2)

    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }
  }
}

/// Where and why a text is not JSON.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The byte of the fault, from 1.
  public let column: Int
  public let problem: String

  public var description: String { "\(problem) at byte \(column)" }
}
