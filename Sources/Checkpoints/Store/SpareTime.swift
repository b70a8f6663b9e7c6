import Foundation
import Synchronization

/// Lets threads work on idle cores and on a small share of busy ones, until somebody waits for them.
///
/// The threads keep the normal priority and pause between blocks of work. A pause ends as soon as
///
/// - a core is idle: each thread has a scout, a thread that Linux runs only if a core is idle (SCHED_IDLE) and that lets
///   its worker do one block whenever it runs;
/// - or the pause has lasted so long that all threads together use `share` of one core;
/// - or somebody waits: from `hurry` on nothing pauses.
///
/// The whole work costs training the same time at any share, because a training thread that loses its core holds up the
/// others; the share decides over how many steps that time is spread. Without a share, a save beside training on all
/// cores lasts until the steps happen to leave a core idle.
///
/// The workers themselves cannot have a low priority: Linux does not let an ordinary user's thread raise its priority
/// again (RLIMIT_NICE is 0), so a caller that waits for them would wait for idle cores. For the same reason a scout
/// never holds a lock, and no thread waits for a scout.
public final class SpareTime: Sendable {
  private struct State {
    var workers: [Worker] = []
    var isHurried = false
  }

  /// What a save takes of one core, over all its threads, even if no core is idle.
  public static let standardShare = 0.2

  private let state = Mutex(State())
  private let share: Double

  public init(share: Double = SpareTime.standardShare) { self.share = share }

  /// Lets all workers continue without pauses, because a caller waits for them.
  public func hurry() {
    let workers = state.withLock { state in
      state.isHurried = true
      return state.workers
    }
    for worker in workers { worker.hurry() }
  }

  /// The calling thread as one of `count` workers; it ends with `finish`.
  func worker(of count: Int) -> Worker {
    let worker = Worker(share: share / Double(count))
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
    /// Pauses last so many times as long as the block before them occupied a core.
    private let pausePerWork: Double
    /// The rest is the worker's own: whether the scout has yet to answer a signal, and the thread's time on a core when
    /// its last pause ended.
    private nonisolated(unsafe) var isScoutAsked = true
    private nonisolated(unsafe) var resumed = 0.0
    /// Linux's SCHED_IDLE, which the headers define only for GNU programs.
    private static let idlePolicy: Int32 = 5

    fileprivate init(share: Double) { pausePerWork = 1 / share - 1 }

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
      resumed = Self.coreSeconds
    }

    /// Called between two blocks: waits for an idle core or for the end of the pause, unless a caller waits for this thread.
    func pause() {
      guard !isHurried.load(ordering: .acquiring) else { return }
      // A second signal before the first is answered would let the scout allow two blocks at once.
      if !isScoutAsked { hasWorked.signal() }
      let seconds = (Self.coreSeconds - resumed) * pausePerWork
      isScoutAsked = mayWork.wait(timeout: .now() + seconds) == .timedOut
      resumed = Self.coreSeconds
    }

    /// How long the calling thread has occupied a core.
    private static var coreSeconds: Double {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
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
