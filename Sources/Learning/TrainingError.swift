import Errors

/// Why training cannot start or continue: one line with the problem, its location and the remedy.
public struct TrainingError: QuillanError, Equatable {
  /// The exit code of the program.
  public enum Kind: Sendable, Equatable {
    /// The configuration does not fit the data or the ranks (exit code 2).
    case configuration
    /// Data is damaged or does not fit (exit code 3).
    case data
    /// The run itself failed (exit code 1).
    case failure
  }

  public let kind: Kind
  /// Whether every rank throws this error at the same point, so that all ranks can finish in an orderly way.
  public let isAgreed: Bool
  /// The problem, its location and the remedy in one line.
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
