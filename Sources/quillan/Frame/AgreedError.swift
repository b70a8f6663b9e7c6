import Errors

/// An error that all ranks throw together; only the lowest rank on which it happened reports it.
struct AgreedError: QuillanError {
  let status: ErrorStatus
  /// The error, on the rank that reports it; nil on the others.
  let cause: (any Error)?

  var problem: String { cause.map { "\($0)" } ?? "another rank reports an error" }
}
