/// Runs the iterations of a loop on a fixed number of threads.
///
/// The division depends only on the arguments, and no kernel's result depends on the division.
public struct WorkerPool: Sendable {
  /// Number of threads, including the caller's.
  public let threads: Int
  let team: WorkerTeam
  /// Set inside a region: this thread's place in the sequence of stages.
  let stage: StagePlace?

  public init(threads: Int) { self.init(threads: threads, team: .shared) }

  /// A pool on the threads of `team`. Tests use a team of their own, whose threads get no other work.
  package init(threads: Int, team: WorkerTeam) { self.init(threads: threads, team: team, stage: nil) }

  init(threads: Int, team: WorkerTeam, stage: StagePlace?) {
    precondition(threads > 0, "a pool of \(threads) threads")
    self.threads = threads
    self.team = team
    self.stage = stage
  }

  /// Number of loops so far that more than one thread could take part in; a region counts once.
  package var loops: Int { team.loops }

  /// The range of 0..<count that worker `index` of `workers` takes, in multiples of `grain`.
  public static func part(_ index: Int, of workers: Int, count: Int, grain: Int = 1) -> Range<Int> {
    let units = (count + grain - 1) / grain
    let first = units * index / workers * grain
    let last = units * (index + 1) / workers * grain
    return min(first, count)..<min(last, count)
  }

  /// Calls `body(worker, range)` with disjoint ranges that cover 0..<count; returns when all calls have returned. Each
  /// worker number has one range; worker 0 is the caller's thread outside regions. `least` is the minimum number of
  /// iterations that justify a thread.
  public func split(_ count: Int, grain: Int = 1, least: Int = 1, _ body: (Int, Range<Int>) -> Void) {
    guard count > 0 else { return }
    let workers = max(1, min(threads, count / max(1, least), (count + grain - 1) / grain))
    run(workers, workers: workers) { _, part in
      body(part, Self.part(part, of: workers, count: count, grain: grain))
    }
  }

  /// Calls `body(worker, index)` once for every index in 0..<count, in contiguous ranges per worker number.
  public func each(_ count: Int, least: Int = 1, _ body: (Int, Int) -> Void) {
    split(count, least: least) { worker, range in for index in range { body(worker, index) } }
  }

  /// As `each`, but threads take a few indices at a time, so that loads are even if iterations differ. `worker` is the
  /// number of the thread, so which worker's memory an iteration uses varies.
  public func spread(_ count: Int, least: Int = 1, _ body: (Int, Int) -> Void) {
    guard count > 0 else { return }
    let workers = max(1, min(threads, count / max(1, least)))
    let parts = workers == 1 ? 1 : min(count, Self.partsPerWorker * workers)
    run(parts, workers: workers) { worker, part in
      for index in Self.part(part, of: parts, count: count) { body(worker, index) }
    }
  }

  /// Parts of a loop of uneven iterations, for each thread.
  private static let partsPerWorker = 16

  private func run(_ parts: Int, workers: Int, _ body: (Int, Int) -> Void) {
    if let stage {
      stage.run(parts, team, body)
    } else if workers == 1 {
      for part in 0..<parts { body(0, part) }
    } else {
      team.run(parts, width: workers, body)
    }
  }
}
