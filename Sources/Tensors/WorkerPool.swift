/// Runs the iterations of a loop on a fixed number of threads.
///
/// The division depends only on the arguments, and no kernel's result depends on the division.
public struct WorkerPool: Sendable {
  /// Number of threads, including the caller's.
  public let threads: Int
  let team: WorkerTeam

  public init(threads: Int) { self.init(threads: threads, team: .shared) }

  /// A pool on the threads of `team`. Tests use a team of their own, whose threads get no other work.
  package init(threads: Int, team: WorkerTeam) {
    precondition(threads > 0, "a pool of \(threads) threads")
    self.threads = threads
    self.team = team
  }

  /// The range of 0..<count that worker `index` of `workers` takes, in multiples of `grain`.
  public static func part(_ index: Int, of workers: Int, count: Int, grain: Int = 1) -> Range<Int> {
    let units = (count + grain - 1) / grain
    let first = units * index / workers * grain
    let last = units * (index + 1) / workers * grain
    return min(first, count)..<min(last, count)
  }

  /// Calls `body(worker, range)` with disjoint ranges that cover 0..<count; returns when all calls have returned.
  /// `least` is the minimum number of iterations that justify a thread.
  public func split(_ count: Int, grain: Int = 1, least: Int = 1, _ body: (Int, Range<Int>) -> Void) {
    guard count > 0 else { return }
    let workers = max(1, min(threads, count / max(1, least), (count + grain - 1) / grain))
    if workers == 1 { return body(0, 0..<count) }
    team.run(workers) { worker in
      body(worker, Self.part(worker, of: workers, count: count, grain: grain))
    }
  }

  /// Calls `body(worker, index)` once for every index in 0..<count, in contiguous ranges per worker.
  public func each(_ count: Int, least: Int = 1, _ body: (Int, Int) -> Void) {
    split(count, least: least) { worker, range in for index in range { body(worker, index) } }
  }
}
