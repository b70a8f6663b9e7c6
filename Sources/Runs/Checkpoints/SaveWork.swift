import Checkpoints
import Foundation
import MPI

/// Work on a thread of its own.
final class SaveWork: @unchecked Sendable {
  /// What the work gave.
  enum Outcome: Sendable {
    case none
    /// The files that this rank wrote.
    case written([WrittenShard])
    case published(Publication)
  }

  /// A checkpoint that has its final name.
  struct Publication: RankRecord {
    var path = ""
    /// Older checkpoints that could not be removed, one line each.
    var remarks: [String] = []
  }

  /// When the work's threads compress: while cores are idle, or always once somebody waits.
  let spareTime = SpareTime()
  private let condition = NSCondition()
  private var pending: Int
  private var outcome: Result<Outcome, any Error>?

  /// - Parameter pieces: how many pieces of the run's own memory will be read.
  init(pieces: Int, _ body: @escaping @Sendable (SaveWork) throws -> Outcome) {
    pending = pieces
    let thread = Thread { [self] in
      let outcome = Result { try body(self) }
      condition.lock()
      self.outcome = outcome
      condition.broadcast()
      condition.unlock()
    }
    thread.stackSize = 4 << 20
    thread.start()
  }

  /// Notes that a piece of the run's own memory has been read.
  func take() {
    condition.lock()
    pending -= 1
    if pending == 0 { condition.broadcast() }
    condition.unlock()
  }

  /// Waits for the end for up to `seconds`; whether it has come.
  func isDone(within seconds: Double) -> Bool { wait(seconds) { outcome != nil } }

  /// Waits for up to `seconds` until no memory of the run is read any more; whether that is so.
  func isTaken(within seconds: Double) -> Bool { wait(seconds) { pending <= 0 || outcome != nil } }

  private func wait(_ seconds: Double, _ isMet: () -> Bool) -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    condition.lock()
    defer { condition.unlock() }
    while !isMet() {
      guard seconds > 0, condition.wait(until: end) else { return isMet() }
    }
    return true
  }

  /// What the work gave; `none` if it failed or continues.
  var result: Outcome {
    condition.lock()
    defer { condition.unlock() }
    return (try? outcome?.get()) ?? .none
  }

  /// Why the work failed; empty where it did not.
  var problem: String {
    condition.lock()
    defer { condition.unlock() }
    if case .failure(let error) = outcome { return "\(error)" }
    return ""
  }
}
