/// Where a function works: its threads, the arena of what outlives it, and scratch for what does not (two arenas:
/// what a function keeps must survive the release of its scratch).
public struct Lane: Sendable {
  public let pool: WorkerPool
  public let arena: Arena
  public let scratch: Arena

  public init(pool: WorkerPool, arena: Arena, scratch: Arena) {
    self.pool = pool
    self.arena = arena
    self.scratch = scratch
  }
}

extension Context {
  /// The lane of code that no other worker runs beside.
  public var main: Lane { Lane(pool: pool, arena: arena, scratch: scratch[0]) }

  /// The lane of one worker inside a parallel loop: it computes alone.
  public func lane(_ worker: Int) -> Lane {
    Lane(pool: WorkerPool(threads: 1), arena: arena, scratch: scratch[worker])
  }
}
