/// Why training cannot start or go on: one line that says what, where and what to do.
public struct TrainingError: Error, Equatable, CustomStringConvertible {
  /// How the program ends.
  public enum Kind: Sendable, Equatable {
    /// The configuration does not fit the data or the ranks (exit code 2).
    case configuration
    /// The run itself failed (exit code 1).
    case failure
  }

  public let kind: Kind
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
