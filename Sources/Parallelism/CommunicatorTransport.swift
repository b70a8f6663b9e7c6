import Layers
import MPI
import Tensors

/// Carries the messages of expert parallelism over MPI, between the ranks of one expert group.
///
/// Layers cannot throw inside a pass, so errors are deferred (`DeferredError`): a failed exchange returns zeros, and
/// `check` throws after the pass.
public final class CommunicatorTransport: ExpertTransport {
  /// Seconds spent in exchanges, including the wait for other ranks.
  public private(set) var seconds = 0.0
  private let communicator: Communicator
  private var error = DeferredError()

  public init(_ communicator: Communicator) { self.communicator = communicator }

  public var size: Int { communicator.size }
  public var rank: Int { communicator.rank }

  /// Call it after a pass, before any number of the pass is used.
  ///
  /// - Throws: the first error of any exchange of this transport.
  public func check() throws(MPIError) { try error.check() }

  /// Sends `counts[r]` bytes of `values` to each rank r and receives `receiveCounts[r]` bytes from it. After an error,
  /// receives zeros.
  public func exchange(
    _ values: UnsafeRawPointer, counts: ArenaList<Int>, into result: UnsafeMutableRawPointer,
    receiveCounts: ArenaList<Int>
  ) {
    let start = ContinuousClock.now
    defer { seconds += (ContinuousClock.now - start) / .seconds(1) }
    let sent = UnsafeBufferPointer(
      start: values.assumingMemoryBound(to: UInt8.self), count: counts.reduce(0, +))
    let received = UnsafeMutableBufferPointer(
      start: result.assumingMemoryBound(to: UInt8.self), count: receiveCounts.reduce(0, +))
    let isExchanged = error.attempt { () throws(MPIError) in
      try communicator.allToAllv(
        sent, sendCounts: counts.buffer, into: received, receiveCounts: receiveCounts.buffer)
    }
    if !isExchanged { received.update(repeating: 0) }
  }
}
