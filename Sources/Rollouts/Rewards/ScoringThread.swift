import Foundation

/// A thread that lives as long as the process and runs jobs one after another.
///
/// Reward programs ask the system to end them when the thread that started them ends, so this thread must outlive every
/// rollout.
final class ScoringThread: @unchecked Sendable {
  static let shared = ScoringThread()

  private let condition = NSCondition()
  private var jobs: [@Sendable () -> Void] = []
  private var isStarted = false

  /// Runs `job` after the jobs before it.
  func run(_ job: @escaping @Sendable () -> Void) {
    condition.lock()
    defer { condition.unlock() }
    jobs.append(job)
    if !isStarted { start() }
    condition.signal()
  }

  private func start() {
    isStarted = true
    let thread = Thread { [self] in while true { next()() } }
    thread.name = "quillan rewards"
    thread.start()
  }

  private func next() -> @Sendable () -> Void {
    condition.lock()
    defer { condition.unlock() }
    while jobs.isEmpty { condition.wait() }
    return jobs.removeFirst()
  }
}
