import Errors

/// Why training cannot start or continue: one line that says what, where and what to do.
public struct TrainingError: QuillanError, Equatable {
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
  /// What, where and the remedy in one line.
  public let problem: String

  public init(_ kind: Kind, isAgreed: Bool = false, _ problem: String) {
    self.kind = kind
    self.isAgreed = isAgreed
    self.problem = problem
  }

  public var status: ErrorStatus {
    switch kind {
    case .configuration: .usage
    case .data: .data
    case .failure: .failure
    }
  }
}
