/// A type whose values ranks send each other: any `Codable` type. The compiler derives the conformance, so a record
/// lists its fields once, with their names and types.
public typealias RankRecord = Codable & Sendable

/// The bytes of a record: compact, exact and deterministic.
///
/// A message starts with a table of the field names, in UTF-8 order. Then comes one value:
///
/// | tag | value | payload |
/// |---|---|---|
/// | 0 | nil | |
/// | 1, 2 | false, true | |
/// | 3 | signed integer | zigzag, as an LEB128 varint |
/// | 4 | unsigned integer | LEB128 varint |
/// | 5, 6 | `Float`, `Double` | the bits, little-endian: NaN payloads and −0 survive |
/// | 7 | text | length, UTF-8 |
/// | 8 | list | count, values |
/// | 9 | fields | count, then for each field the index of its name (ascending) and its value |
///
/// Equal records give equal bytes, except that a dictionary whose keys are not text or integers (nor
/// `CodingKeyRepresentable`) is a list in hash order. Decoding checks every length and index against the bytes that are
/// left, and throws if they do not fit.
public enum RecordCodec {
  /// Maximum nesting of lists and fields.
  static let depthLimit = 64

  /// - Throws: if the record's own `encode(to:)` throws, or its values nest too deeply.
  public static func encode<Record: Encodable>(_ record: Record) throws(RecordError) -> [UInt8] {
    do {
      let node = RecordNode()
      try RecordEncoder(node: node, codingPath: []).write(record)
      return try RecordBytes.encode(node.value(depth: 0))
    } catch {
      throw RecordError(error)
    }
  }

  /// - Throws: if `bytes` are damaged, or are not a `Record`.
  public static func decode<Record: Decodable>(
    _ type: Record.Type, from bytes: [UInt8]
  ) throws(RecordError) -> Record {
    do {
      return try RecordDecoder(value: RecordBytes.decode(bytes), codingPath: []).read(type)
    } catch {
      throw RecordError(error)
    }
  }
}

/// One value of a record.
enum RecordValue: Equatable {
  case none
  case flag(Bool)
  case signed(Int64)
  case unsigned(UInt64)
  /// The bits, because a conversion could change a signalling NaN.
  case float(UInt32)
  case double(UInt64)
  case text(String)
  case list([RecordValue])
  case fields([String: RecordValue])

  var name: String {
    switch self {
    case .none: "nil"
    case .flag: "a Boolean"
    case .signed(let value): "the integer \(value)"
    case .unsigned(let value): "the integer \(value)"
    case .float, .double: "a floating-point number"
    case .text: "text"
    case .list: "a list"
    case .fields: "a record with fields"
    }
  }
}

/// A type that is one value of a record.
protocol RecordPrimitive: Codable {
  var recordValue: RecordValue { get }
  /// Returns nil if `value` is of another kind, or out of range.
  init?(_ value: RecordValue)
}

extension RecordPrimitive where Self: FixedWidthInteger {
  var recordValue: RecordValue { Self.isSigned ? .signed(Int64(self)) : .unsigned(UInt64(self)) }

  init?(_ value: RecordValue) {
    switch value {
    case .signed(let value): self.init(exactly: value)
    case .unsigned(let value): self.init(exactly: value)
    default: return nil
    }
  }
}

extension Int: RecordPrimitive {}
extension Int8: RecordPrimitive {}
extension Int16: RecordPrimitive {}
extension Int32: RecordPrimitive {}
extension Int64: RecordPrimitive {}
extension UInt: RecordPrimitive {}
extension UInt8: RecordPrimitive {}
extension UInt16: RecordPrimitive {}
extension UInt32: RecordPrimitive {}
extension UInt64: RecordPrimitive {}

extension Bool: RecordPrimitive {
  var recordValue: RecordValue { .flag(self) }

  init?(_ value: RecordValue) {
    guard case .flag(let flag) = value else { return nil }
    self = flag
  }
}

extension Float: RecordPrimitive {
  var recordValue: RecordValue { .float(bitPattern) }

  init?(_ value: RecordValue) {
    guard case .float(let bits) = value else { return nil }
    self.init(bitPattern: bits)
  }
}

extension Double: RecordPrimitive {
  var recordValue: RecordValue { .double(bitPattern) }

  init?(_ value: RecordValue) {
    guard case .double(let bits) = value else { return nil }
    self.init(bitPattern: bits)
  }
}

extension String: RecordPrimitive {
  var recordValue: RecordValue { .text(self) }

  init?(_ value: RecordValue) {
    guard case .text(let text) = value else { return nil }
    self = text
  }
}
