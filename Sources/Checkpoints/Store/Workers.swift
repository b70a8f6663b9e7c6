import Foundation

/// This module's own threads: work that waits (for a disk, for its turn) must not block the threads of training.
enum Workers {
  /// Calls `body(worker)` on `count` threads, including the caller's; returns when all are done.
  static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let group = DispatchGroup()
    for worker in 1..<max(1, count) {
      group.enter()
      let thread = Thread {
        body(worker)
        group.leave()
      }
      thread.stackSize = 1 << 20
      thread.start()
    }
    body(0)
    group.wait()
  }
}

/// Hands out numbers 0, 1, 2, … to workers and takes their results in that order; the first failure ends all.
final class OrderedTurns: @unchecked Sendable {
  private let condition = NSCondition()
  private let count: Int
  private var taken = 0
  private var finished = 0
  private var failure: (any Error)?

  init(count: Int) { self.count = count }

  /// The next number; nil if none is left or work has failed.
  func next() -> Int? {
    condition.lock()
    defer { condition.unlock() }
    guard failure == nil, taken < count else { return nil }
    taken += 1
    return taken - 1
  }

  /// Runs `body` once all lower numbers are done; does nothing if work has failed.
  func inTurn(_ number: Int, _ body: () throws -> Void) {
    condition.lock()
    while finished != number, failure == nil { condition.wait() }
    let failed = failure != nil
    condition.unlock()
    guard !failed else { return }
    do {
      try body()
      condition.lock()
      finished += 1
      condition.broadcast()
      condition.unlock()
    } catch { fail(error) }
  }

  func fail(_ error: any Error) {
    condition.lock()
    if failure == nil { failure = error }
    condition.broadcast()
    condition.unlock()
  }

  /// Throws the error of the first failed work.
  func check() throws {
    if let failure { throw failure }
  }
}
