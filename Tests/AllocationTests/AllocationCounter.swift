import CAllocations
import Foundation
import Synchronization
import Tensors

/// Counts the allocations of a pool's threads: the caller's and those of a team that works for no other pool.
struct AllocationCounter {
  let pool: WorkerPool

  init(threads: Int) { pool = WorkerPool(threads: threads, team: WorkerTeam()) }

  /// Starts counting from 0.
  func start() { onEachThread { _ in allocations_count(true) } }

  /// Ends counting; returns the sum over threads.
  func stop() -> Int64 {
    withUnsafeTemporaryAllocation(of: Int64.self, capacity: pool.threads) { counts in
      counts.initialize(repeating: 0)
      onEachThread { worker in
        allocations_count(false)
        counts[worker] = allocations_counted()
      }
      return counts.reduce(0, +)
    }
  }

  func allocations(of work: () -> Void) -> Int64 {
    start()
    work()
    return stop()
  }

  /// A loop of as many parts as threads, each of which waits until all have begun, has one for each thread.
  private func onEachThread(_ body: (Int) -> Void) {
    let begun = Atomic<Int>(0)
    pool.split(pool.threads) { worker, _ in
      begun.add(1, ordering: .sequentiallyConsistent)
      while begun.load(ordering: .sequentiallyConsistent) < pool.threads { sched_yield() }
      body(worker)
    }
  }
}
