/// The resources of a computation: threads, memory that lasts until the backward pass, and scratch memory for each
/// worker.
public final class Context: Sendable {
  public let pool: WorkerPool
  /// Activations that the backward pass reads.
  public let arena: Arena
  /// Temporary memory of one worker; a function releases its scratch before it returns.
  public let scratch: [Arena]

  /// Operands of products that are deferred until a unit's backward pass ends.
  public let deferred = Arena(chunkBytes: 16 << 20)

  /// Is notified of the parts of a pass.
  public let observer: (any PassObserver)?

  public convenience init(threads: Int, observer: (any PassObserver)? = nil) {
    self.init(pool: WorkerPool(threads: threads), observer: observer)
  }

  /// A context whose loops run on `pool`.
  public init(pool: WorkerPool, observer: (any PassObserver)? = nil) {
    self.observer = observer
    self.pool = pool
    arena = Arena(chunkBytes: 16 << 20)
    scratch = (0..<pool.threads).map { _ in Arena() }
  }

  /// Bytes obtained from the system.
  public var reservedBytes: Int {
    ([arena, deferred] + scratch).reduce(0) { $0 + $1.reservedBytes }
  }
}
