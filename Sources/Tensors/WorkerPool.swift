/// Runs parts of a loop on a fixed number of threads.
///
/// The split depends on nothing but the numbers given, and no kernel's result depends on the split.
public struct WorkerPool: Sendable {
  /// Threads that take part, the caller's among them.
  public let threads: Int
  private let team: WorkerTeam

  public init(threads: Int) { self.init(threads: threads, team: .shared) }

  /// A pool of a team's threads: one of its own for tests, whose threads nobody else gives work.
  package init(threads: Int, team: WorkerTeam) {
    precondition(threads > 0, "a pool of \(threads) threads")
    self.threads = threads
    self.team = team
  }

  /// The part of 0..<count that worker `index` of `workers` takes, in multiples of `grain`.
  public static func part(_ index: Int, of workers: Int, count: Int, grain: Int = 1) -> Range<Int> {
    let units = (count + grain - 1) / grain
    let first = units * index / workers * grain
    let last = units * (index + 1) / workers * grain
    return min(first, count)..<min(last, count)
  }

  /// Calls `body(worker, range)` with disjoint ranges that cover 0..<count; returns when all are done.
  /// `least` is the smallest part worth a thread of its own.
  public func split(_ count: Int, grain: Int = 1, least: Int = 1, _ body: (Int, Range<Int>) -> Void) {
    guard count > 0 else { return }
    let workers = max(1, min(threads, count / max(1, least), (count + grain - 1) / grain))
    if workers == 1 { return body(0, 0..<count) }
    team.run(workers) { worker in
      body(worker, Self.part(worker, of: workers, count: count, grain: grain))
    }
  }

  /// Calls `body(worker, index)` once for every index in 0..<count, in contiguous parts per worker.
  public func each(_ count: Int, least: Int = 1, _ body: (Int, Int) -> Void) {
    split(count, least: least) { worker, range in for index in range { body(worker, index) } }
  }
}
