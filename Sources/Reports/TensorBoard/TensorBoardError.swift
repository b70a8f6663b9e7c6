import Errors

/// An event file that cannot be written.
public struct TensorBoardError: QuillanError {
  public let file: String
  public let problem: String
  public let remedy: String?
  public let cause: (any Error)?

  init(file: String, problem: String, remedy: String, cause: any Error) {
    self.file = file
    self.problem = problem
    self.remedy = remedy
    self.cause = cause
  }

  public var status: ErrorStatus { .failure }
  public var place: String? { file }
}
