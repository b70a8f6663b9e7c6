/// A fault of a task's settings or prompts: what is wrong, where, and what to do, in one line.
public struct TaskError: Error, Equatable, Sendable, CustomStringConvertible {
  public let task: String
  public let problem: String
  public let remedy: String

  public var description: String { "task \(task): \(problem); \(remedy)" }

  static func checkShare(_ share: Double, task: String) throws(TaskError) {
    if !(0..<1).contains(share) {
      throw TaskError(task: task, problem: "a held-out share of \(share)", remedy: "give a number from 0 to below 1")
    }
  }

  static func tooFewHeldOut(task: String, available: Int, wanted: Int) -> TaskError {
    TaskError(
      task: task, problem: "there are \(available) distinct held-out prompts, and \(wanted) are asked for",
      remedy: "ask for fewer, raise the held-out share or the difficulty")
  }
}
