/// The resources of a function: threads, the arena for results, and scratch memory for temporaries (two separate
/// arenas, because results must survive the release of scratch memory).
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
  /// The lane for code outside parallel loops.
  public var main: Lane { Lane(pool: pool, arena: arena, scratch: scratch[0]) }

  /// The lane of one worker inside a parallel loop: a single thread.
  public func lane(_ worker: Int) -> Lane {
    Lane(pool: WorkerPool(threads: 1), arena: arena, scratch: scratch[worker])
  }
}
