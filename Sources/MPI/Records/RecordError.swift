import Errors

/// A record that cannot be encoded, or bytes that are not the record that a rank expects.
public struct RecordError: QuillanError, Equatable {
  /// The path of the field, for example `[3].terms.policy`; nil for the message as a whole.
  public let place: String?
  public let problem: String

  public var status: ErrorStatus { .failure }
  public var remedy: String? { MPIError.Kind.record.remedy }

  init(_ problem: String, at path: [any CodingKey] = []) {
    self.problem = problem
    place = path.isEmpty ? nil : Self.text(of: path)
  }

  /// The error that `Codable` code threw, as a record error.
  init(_ error: any Error) {
    switch error {
    case let error as RecordError: self = error
    case EncodingError.invalidValue(_, let context): self.init(context.debugDescription, at: context.codingPath)
    case DecodingError.keyNotFound(let key, let context):
      self.init("the field '\(key.stringValue)' is missing", at: context.codingPath)
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
      DecodingError.dataCorrupted(let context):
      self.init(context.debugDescription, at: context.codingPath)
    default: self.init("\(error)")
    }
  }

  private static func text(of path: [any CodingKey]) -> String {
    path.reduce(into: "") { text, key in
      if let index = key.intValue { text += "[\(index)]" } else { text += (text.isEmpty ? "" : ".") + key.stringValue }
    }
  }
}
