import Errors

/// Why a task's settings or prompts cannot be used.
public struct TaskError: QuillanError, Equatable {
  public let task: String
  public let problem: String
  public let remedy: String?

  public var status: ErrorStatus { .usage }
  public var place: String? { "task \(task)" }

  static func checkShare(_ share: Double, task: String) throws(TaskError) {
    if !(0..<1).contains(share) {
      throw TaskError(task: task, problem: "a held-out share of \(share)", remedy: "give a number from 0 to below 1")
    }
  }

  static func tooFewHeldOut(task: String, available: Int, wanted: Int) -> TaskError {
    TaskError(
      task: task, problem: "there are \(available) distinct held-out prompts, and \(wanted) are requested",
      remedy: "request fewer, or raise the held-out share or the difficulty")
  }
}
