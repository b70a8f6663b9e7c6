import CAllocations
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

  /// A loop of as many parts as threads has one for each.
  private func onEachThread(_ body: (Int) -> Void) { pool.split(pool.threads) { worker, _ in body(worker) } }
}
