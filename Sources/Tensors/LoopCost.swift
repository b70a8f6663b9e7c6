/// What one iteration of a parallel loop costs.
///
/// A parallel loop costs about a microsecond, and ten if its threads slept, so each thread must get work for some tens
/// of microseconds. This type is the only place that says how much that is; no result depends on it.
public struct LoopCost: Sendable {
  /// Minimum number of iterations that are worth a thread.
  public let least: Int

  private init(minimum: Int, perIteration: Int) { least = max(1, minimum / max(1, perIteration)) }

  /// Reads, converts or writes `elements` numbers.
  public static func moved(_ elements: Int) -> LoopCost { LoopCost(minimum: 65536, perIteration: elements) }

  /// Reads `elements` numbers twice, for a sum and for a result.
  public static func reduced(_ elements: Int) -> LoopCost { LoopCost(minimum: 32768, perIteration: elements) }

  /// Computes `elements` values of exp, erf or a similar function.
  public static func transcendental(_ elements: Int) -> LoopCost { LoopCost(minimum: 16384, perIteration: elements) }

  /// Computes or copies `elements` values one by one, without vector instructions.
  public static func scalar(_ elements: Int) -> LoopCost { LoopCost(minimum: 8192, perIteration: elements) }

  /// Takes `count` multiply-adds of a GEMM; a pair of bfloat16 values counts once.
  public static func multiplyAdds(_ count: Int) -> LoopCost {
    LoopCost(minimum: minimumMultiplyAdds, perIteration: count)
  }

  /// Sets `elements` to zero.
  public static func cleared(_ elements: Int) -> LoopCost { LoopCost(minimum: 1 << 18, perIteration: elements) }

  fileprivate static let minimumMultiplyAdds = 150_000
}

extension WorkerPool {
  /// Calls `body(worker, range)` with disjoint ranges that cover 0..<count, on as many threads as the work justifies.
  /// Ranges begin at multiples of `grain`.
  public func split(_ count: Int, grain: Int = 1, cost: LoopCost, _ body: (Int, Range<Int>) -> Void) {
    split(count, grain: grain, least: max(grain, cost.least), body)
  }

  /// Calls `body(worker, index)` once for every index in 0..<count, in contiguous ranges per worker.
  public func each(_ count: Int, cost: LoopCost, _ body: (Int, Int) -> Void) {
    each(count, least: cost.least, body)
  }

  /// As `each`, with indices spread over threads as `spread(_:least:_:)` does.
  public func spread(_ count: Int, cost: LoopCost, _ body: (Int, Int) -> Void) {
    spread(count, least: cost.least, body)
  }

  /// This pool, limited to as many threads as a GEMM of `count` multiply-adds justifies.
  public func limited(multiplyAdds count: Int) -> WorkerPool {
    WorkerPool(
      threads: min(threads, max(1, count / LoopCost.minimumMultiplyAdds)), team: team, stage: stage)
  }
}
