import Foundation
import Synchronization

/// Lets threads work on what all others leave of the cores, until somebody waits for them.
///
/// The threads keep the normal priority and pause between blocks of work. Each has a scout, a thread that Linux runs only
/// where a core is idle (SCHED_IDLE); whenever it runs, it lets its worker do one block. From `hurry` on nothing pauses.
///
/// The workers themselves cannot have a low priority: Linux lets no thread of an ordinary user raise its priority again
/// (RLIMIT_NICE is 0), so whoever waited for them would wait for cores to be idle. For the same reason a scout never
/// holds a lock, and nobody ever waits for one.
public final class SpareTime: Sendable {
  private struct State {
    var workers: [Worker] = []
    var isHurried = false
  }

  private let state = Mutex(State())

  public init() {}

  /// Lets all workers go on without pauses: somebody waits for them.
  public func hurry() {
    let workers = state.withLock { state in
      state.isHurried = true
      return state.workers
    }
    for worker in workers { worker.hurry() }
  }

  /// The calling thread as a worker, which ends with `finish`.
  func worker() -> Worker {
    let worker = Worker()
    let isHurried = state.withLock { state in
      state.workers.append(worker)
      return state.isHurried
    }
    if isHurried { worker.hurry() } else { worker.startScout() }
    return worker
  }

  /// One thread's pauses.
  final class Worker: Sendable {
    private let isHurried = Atomic(false)
    private let isFinished = Atomic(false)
    /// A scout's word that a block may be done, and the worker's that it is done. Neither takes a lock.
    private let mayWork = DispatchSemaphore(value: 0)
    private let hasWorked = DispatchSemaphore(value: 0)
    /// Linux's SCHED_IDLE, which its headers show to GNU programs only.
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

    /// Between two blocks: waits for a core that is idle, unless somebody waits for this thread.
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
