import Errors

/// An error of a command itself.
struct CommandError: QuillanError, Equatable {
  let status: ErrorStatus
  let place: String?
  let problem: String
  let remedy: String?

  init(_ status: ErrorStatus, at place: String? = nil, _ problem: String, remedy: String? = nil) {
    self.status = status
    self.place = place
    self.problem = problem
    self.remedy = remedy
  }
}
