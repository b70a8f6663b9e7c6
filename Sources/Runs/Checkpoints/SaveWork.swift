import Checkpoints
import Foundation
import MPI

/// A part of a save, run on a separate thread.
final class SaveWork: @unchecked Sendable {
  /// The result of the work.
  enum Outcome: Sendable {
    case none
    /// The files that this rank wrote.
    case written([WrittenShard])
    case published(Publication)
  }

  /// A checkpoint under its final name.
  struct Publication: RankRecord {
    var path = ""
    /// Older checkpoints that could not be removed, one line each.
    var remarks: [String] = []
  }

  /// When the work's threads compress: while cores are idle, or always once a rank waits for them.
  let spareTime = SpareTime()
  private let condition = NSCondition()
  private var pending: Int
  private var outcome: Result<Outcome, any Error>?

  /// - Parameter pieces: the number of pieces to read from the run's memory.
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

  /// Records that a piece of the run's memory has been read.
  func noteRead() {
    condition.lock()
    pending -= 1
    if pending == 0 { condition.broadcast() }
    condition.unlock()
  }

  /// Waits for up to `seconds` for the end of the work; returns whether it has ended.
  func isDone(within seconds: Double) -> Bool { wait(seconds) { outcome != nil } }

  /// Waits for up to `seconds` until the work no longer reads the run's memory; returns whether it has stopped reading.
  func isRead(within seconds: Double) -> Bool { wait(seconds) { pending <= 0 || outcome != nil } }

  private func wait(_ seconds: Double, _ isMet: () -> Bool) -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    condition.lock()
    defer { condition.unlock() }
    while !isMet() {
      guard seconds > 0, condition.wait(until: end) else { return isMet() }
    }
    return true
  }

  /// The result; `none` if the work failed or has not ended.
  var result: Outcome {
    condition.lock()
    defer { condition.unlock() }
    return (try? outcome?.get()) ?? .none
  }

  /// Why the work failed; empty if it did not.
  var problem: String {
    condition.lock()
    defer { condition.unlock() }
    if case .failure(let error) = outcome { return "\(error)" }
    return ""
  }
}
