import Errors

/// A golden case that cannot be used.
public struct GoldenCaseError: QuillanError {
  public let path: String
  public let problem: String
  public let remedy: String?
  public let cause: (any Error)?

  init(path: String, problem: String, remedy: String? = nil, cause: (any Error)? = nil) {
    self.path = path
    self.problem = problem
    self.remedy = remedy
    self.cause = cause
  }

  public var status: ErrorStatus { .data }
  public var place: String? { path }
}
