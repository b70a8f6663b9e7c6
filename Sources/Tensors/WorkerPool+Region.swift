/// A thread's place in a region: how many parts the stages behind it had. It belongs to one thread.
struct StagePlace: @unchecked Sendable {
  private let passed: UnsafeMutablePointer<Int>
  private let thread: Int

  init(_ passed: UnsafeMutablePointer<Int>, thread: Int) {
    self.passed = passed
    self.thread = thread
  }

  /// Runs the next stage.
  func run(_ parts: Int, _ team: WorkerTeam, _ body: (Int, Int) -> Void) {
    team.stages.run(parts, after: passed.pointee) { body(thread, $0) }
    passed.pointee += parts
  }
}

extension WorkerPool {
  /// Runs `body` on all threads of the pool as one parallel loop, a region. Loops of the pool that `body` gets are its
  /// stages: threads divide each stage and go on together, without returning to the caller in between.
  ///
  /// `body` must do the same on every thread and may write memory only inside of stages; `once` is a stage of one part.
  public func region(_ body: (WorkerPool) -> Void) {
    guard threads > 1, stage == nil else { return body(self) }
    // A thread that takes several parts finds the stages complete and passes them.
    let isShared = team.share(threads, width: threads) { thread, _ in
      withUnsafeTemporaryAllocation(of: Int.self, capacity: 1) { passed in
        guard let place = passed.baseAddress else { return }
        place.initialize(to: 0)
        body(WorkerPool(threads: threads, team: team, stage: StagePlace(place, thread: thread)))
      }
    }
    if !isShared { body(WorkerPool(threads: 1, team: team)) }
  }

  /// Runs `body` on one thread of a region; outside of regions, on this thread.
  public func once(_ body: () -> Void) { split(1) { _, _ in body() } }
}
