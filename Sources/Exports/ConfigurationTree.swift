/// The configuration that a file stores of its model: sections of keys with plain values, as in the YAML configuration.
public typealias ConfigurationTree = [String: [String: ConfigurationScalar]]

/// A value of a `ConfigurationTree`: a JSON number, string or truth value.
public enum ConfigurationScalar: Sendable, Equatable, Codable {
  case boolean(Bool)
  case integer(Int)
  case number(Double)
  case text(String)

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let value = try? container.decode(Bool.self) {
      self = .boolean(value)
    } else if let value = try? container.decode(Int.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else {
      self = .text(try container.decode(String.self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .boolean(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    }
  }
}
