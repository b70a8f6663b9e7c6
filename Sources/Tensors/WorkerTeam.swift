import CKernels
import Foundation
import Synchronization

/// The worker threads of the process. Between loops they spin, so a parallel loop costs about a microsecond; waking a
/// thread would cost ten.
///
/// A loop has parts, which threads take one after another: nobody waits for a thread that the system has not scheduled,
/// only for parts that have been taken. The caller takes part 0 and every part that no other thread takes. A worker spins
/// for about 50 µs after its last part and then sleeps, so that idle threads leave the cores to other ranks. One loop runs
/// at a time. A loop inside a loop, or beside another, runs on its own thread only; that changes no result, because no
/// kernel's numbers depend on the division.
package final class WorkerTeam: @unchecked Sendable {
  static let shared = WorkerTeam()

  private let isBusy = Atomic<Bool>(false)
  /// The number of the loop, and in the low bits the next part to take.
  private let turn = Atomic<UInt64>(WorkerTeam.noPart)
  /// Parts of the current loop that have been completed.
  private let completed = Atomic<Int>(0)
  /// The current loop. Written only while no part can be taken.
  private let job = Atomic<UInt>(0)
  private let parts = Atomic<Int>(0)
  private let width = Atomic<Int>(0)
  /// The stages of a loop that is a region.
  let stages = StageCounter()
  private let sleepers = Atomic<Int>(0)
  private let condition = NSCondition()
  /// Number of threads besides callers.
  private var threads = 0

  private static let partBits: UInt64 = 24
  private static let noPart: UInt64 = (1 << partBits) - 1
  /// Maximum number of parts of a loop.
  static let maximumParts = Int(noPart) - 1

  package init() {}

  /// Number of loops that more than one thread could take part in, so far.
  package var loops: Int { Int(turn.load(ordering: .relaxed) >> Self.partBits) }

  /// Calls `body(thread, part)` for parts 0 ..< `count`, on at most `width` threads; thread 0 is the caller, which takes
  /// part 0. Returns when all calls have returned. On one thread if the team is not free.
  func run(_ count: Int, width: Int, _ body: (Int, Int) -> Void) {
    if !share(count, width: width, body) {
      for part in 0..<count { body(0, part) }
    }
  }

  /// As `run`, but returns false without a call if one thread would do it all.
  func share(_ count: Int, width: Int, _ body: (Int, Int) -> Void) -> Bool {
    precondition(count <= Self.maximumParts, "a loop of \(count) parts")
    guard
      count > 1, width > 1, isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
    else { return false }
    defer { isBusy.store(false, ordering: .releasing) }
    while threads < width - 1 { start() }
    lend({ body($0 >> 32, $0 & 0xffff_ffff) }) { lent in
      job.store(UInt(bitPattern: lent), ordering: .relaxed)
      parts.store(count, ordering: .relaxed)
      self.width.store(width, ordering: .relaxed)
      completed.store(0, ordering: .relaxed)
      stages.reset()
      let number = (turn.load(ordering: .relaxed) >> Self.partBits) + 1
      turn.store(number << Self.partBits | 1, ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
        condition.lock()
        condition.broadcast()
        condition.unlock()
      }
      ck_job_call(lent, 0)
      completed.add(1, ordering: .releasing)
      takeParts(thread: 0)
      SpinWait.until { completed.load(ordering: .acquiring) == count }
      turn.store(number << Self.partBits | Self.noPart, ordering: .releasing)
    }
    return true
  }

  /// Takes parts of the current loop until none is left.
  private func takeParts(thread: Int) {
    var current = turn.load(ordering: .acquiring)
    while true {
      let part = Int(current & Self.noPart)
      // If the exchange succeeds, the loop of `current` still has parts to take, so its description has not changed.
      let description = job.load(ordering: .relaxed)
      guard
        part < parts.load(ordering: .relaxed), thread < width.load(ordering: .relaxed),
        let lent = OpaquePointer(bitPattern: description)
      else { return }
      let attempt = turn.compareExchange(expected: current, desired: current + 1, ordering: .acquiringAndReleasing)
      if !attempt.exchanged {
        current = attempt.original
        continue
      }
      ck_job_call(lent, Int64(thread << 32 | part))
      completed.add(1, ordering: .releasing)
      current = turn.load(ordering: .acquiring)
    }
  }

  private func start() {
    threads += 1
    let number = threads
    let seen = loops
    let thread = Thread { [self] in serve(number, after: seen) }
    thread.name = "quillan worker"
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// Thread `number` takes part in every loop that allows more than `number` threads.
  private func serve(_ number: Int, after first: Int) {
    var seen = first
    while true {
      seen = next(after: seen)
      takeParts(thread: number)
    }
  }

  private func next(after seen: Int) -> Int {
    for _ in 0..<1500 {
      let current = loops
      if current != seen { return current }
      ck_pause()
    }
    sleepers.add(1, ordering: .sequentiallyConsistent)
    defer { sleepers.subtract(1, ordering: .relaxed) }
    condition.lock()
    defer { condition.unlock() }
    while true {
      let current = Int(turn.load(ordering: .sequentiallyConsistent) >> Self.partBits)
      if current != seen { return current }
      condition.wait()
    }
  }
}

/// Waits for another thread: spins at first, then leaves the core to others.
enum SpinWait {
  static func until(_ isDone: () -> Bool) {
    var turns = 0
    while !isDone() {
      turns += 1
      if turns < 2000 { ck_pause() } else { sched_yield() }
    }
  }
}

/// Calls `work` once with `job` in a form that other threads can call until `work` returns (`ck_threads.h`).
@_silgen_name("ck_job_lend")
private func lend(_ job: (Int) -> Void, _ work: (OpaquePointer) -> Void)
