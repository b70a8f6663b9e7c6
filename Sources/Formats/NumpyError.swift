import Errors

/// A .npy file that cannot be used.
public struct NumpyError: QuillanError, Equatable {
  public let path: String
  public let problem: String
  public let remedy: String?
  public let isBadData: Bool

  init(path: String, problem: String, remedy: String? = nil, isBadData: Bool = true) {
    self.path = path
    self.problem = problem
    self.remedy = remedy
    self.isBadData = isBadData
  }

  public var status: ErrorStatus { isBadData ? .data : .failure }
  public var place: String? { path }
}
