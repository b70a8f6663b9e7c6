import Foundation
import Synchronization

/// Lets threads work only on idle cores, until a caller waits for them.
///
/// The threads keep the normal priority and pause between blocks of work. Each has a scout, a thread that Linux runs
/// only if a core is idle (SCHED_IDLE); whenever it runs, it lets its worker do one block. After `hurry`, workers do
/// not pause.
///
/// The workers themselves cannot have a low priority: Linux does not let an ordinary user's thread raise its priority
/// again (RLIMIT_NICE is 0), so a caller that waits for them would wait for idle cores. For the same reason a scout
/// never holds a lock, and no thread waits for a scout.
public final class SpareTime: Sendable {
  private struct State {
    var workers: [Worker] = []
    var isHurried = false
  }

  private let state = Mutex(State())

  public init() {}

  /// Lets all workers continue without pauses, because a caller waits for them.
  public func hurry() {
    let workers = state.withLock { state in
      state.isHurried = true
      return state.workers
    }
    for worker in workers { worker.hurry() }
  }

  /// Makes the calling thread a worker until `finish`.
  func worker() -> Worker {
    let worker = Worker()
    let isHurried = state.withLock { state in
      state.workers.append(worker)
      return state.isHurried
    }
    if isHurried { worker.hurry() } else { worker.startScout() }
    return worker
  }

  /// The pauses of one thread.
  final class Worker: Sendable {
    private let isHurried = Atomic(false)
    private let isFinished = Atomic(false)
    /// The scout's permission for a block, and the worker's report that it is done. Neither takes a lock.
    private let mayWork = DispatchSemaphore(value: 0)
    private let hasWorked = DispatchSemaphore(value: 0)
    /// Linux's SCHED_IDLE, which the headers define only for GNU programs.
    private static let idlePolicy: Int32 = 5

    fileprivate func startScout() {
      let scout = Thread { [self] in
        var parameters = sched_param()
        sched_setscheduler(0, Self.idlePolicy, &parameters)
        while !isHurried.load(ordering: .acquiring), !isFinished.load(ordering: .acquiring) {
          mayWork.signal()
          hasWorked.wait()
        }
      }
      scout.stackSize = 1 << 16
      scout.start()
      mayWork.wait()
    }

    /// Called between two blocks: waits for an idle core, unless a caller waits for this thread.
    func pause() {
      guard !isHurried.load(ordering: .acquiring) else { return }
      hasWorked.signal()
      mayWork.wait()
    }

    fileprivate func hurry() {
      isHurried.store(true, ordering: .releasing)
      mayWork.signal()
      hasWorked.signal()
    }

    /// Ends the scout.
    func finish() {
      isFinished.store(true, ordering: .releasing)
      hasWorked.signal()
    }
  }
}
