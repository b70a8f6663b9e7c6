import CKernels
import Foundation
import Synchronization

/// The worker threads of the process. Between loops they spin, so a parallel loop costs about a microsecond; waking a
/// thread would cost ten.
///
/// A worker spins for about 50 µs after its last range and then sleeps, so that idle threads leave the cores to other
/// ranks. One loop runs at a time. A loop inside a loop, or beside another, runs on its own thread only; that changes
/// no result, because no kernel's numbers depend on the division.
package final class WorkerTeam: @unchecked Sendable {
  static let shared = WorkerTeam()

  private let isBusy = Atomic<Bool>(false)
  /// Number of loops started so far; workers wait for it to change.
  private let loops = Atomic<UInt64>(0)
  /// Number of workers of the current loop that have not finished.
  private let unfinished = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let condition = NSCondition()
  /// The current loop; written only while no worker reads it.
  private var job: OpaquePointer?
  private var workers = 0
  /// Number of threads besides callers.
  private var threads = 0

  package init() {}

  /// Calls `body(0)` … `body(count - 1)`, each on its own thread if the team is free.
  func run(_ count: Int, _ body: (Int) -> Void) {
    guard count > 1, isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
      for worker in 0..<count { body(worker) }
      return
    }
    while threads < count - 1 { start() }
    lend(body) { job in
      self.job = job
      workers = count
      unfinished.store(threads, ordering: .relaxed)
      loops.add(1, ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
        condition.lock()
        condition.broadcast()
        condition.unlock()
      }
      ck_job_call(job, 0)
      var turns = 0
      while unfinished.load(ordering: .acquiring) > 0 {
        turns += 1
        if turns < 2000 { ck_pause() } else { sched_yield() }
      }
      self.job = nil
    }
    isBusy.store(false, ordering: .releasing)
  }

  private func start() {
    threads += 1
    let number = threads
    let seen = loops.load(ordering: .relaxed)
    let thread = Thread { [self] in serve(number, after: seen) }
    thread.name = "quillan worker"
    thread.stackSize = 8 << 20
    thread.start()
  }

  /// Worker `number` runs `body(number)` of every loop that has more than `number` workers.
  private func serve(_ number: Int, after first: UInt64) {
    var seen = first
    while true {
      seen = next(after: seen)
      if number < workers, let job { ck_job_call(job, Int64(number)) }
      unfinished.subtract(1, ordering: .releasing)
    }
  }

  private func next(after seen: UInt64) -> UInt64 {
    for _ in 0..<1500 {
      let current = loops.load(ordering: .acquiring)
      if current != seen { return current }
      ck_pause()
    }
    sleepers.add(1, ordering: .sequentiallyConsistent)
    defer { sleepers.subtract(1, ordering: .relaxed) }
    condition.lock()
    defer { condition.unlock() }
    while true {
      let current = loops.load(ordering: .sequentiallyConsistent)
      if current != seen { return current }
      condition.wait()
    }
  }
}

/// Calls `work` once with `job` in a form that other threads can call until `work` returns (`ck_threads.h`).
@_silgen_name("ck_job_lend")
private func lend(_ job: (Int) -> Void, _ work: (OpaquePointer) -> Void)
