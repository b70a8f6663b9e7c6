/// Why training cannot start or go on: one line that says what, where and what to do.
public struct TrainingError: Error, Equatable, CustomStringConvertible {
  /// How the program ends.
  public enum Kind: Sendable, Equatable {
    /// The configuration does not fit the data or the ranks (exit code 2).
    case configuration
    /// Data is damaged or does not fit (exit code 3).
    case data
    /// The run itself failed (exit code 1).
    case failure
  }

  public let kind: Kind
  /// Whether every rank throws the same error at the same place, so that all can leave in good order.
  public let isAgreed: Bool
  public let description: String

  public init(_ kind: Kind, isAgreed: Bool = false, _ description: String) {
    self.kind = kind
    self.isAgreed = isAgreed
    self.description = description
  }
}
