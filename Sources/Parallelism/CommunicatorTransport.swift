import Layers
import MPI
import Tensors

/// Expert parallelism's messages over MPI, between the ranks of one expert group.
///
/// Layers cannot throw from inside a pass, so the first MPI error is kept and `check` throws it; results are zeros from
/// then on, and nothing is sent.
public final class CommunicatorTransport: ExpertTransport {
  /// Seconds spent in exchanges, waiting for other ranks included.
  public private(set) var seconds = 0.0
  private let communicator: Communicator
  private var failure: MPIError?

  public init(_ communicator: Communicator) { self.communicator = communicator }

  public var size: Int { communicator.size }
  public var rank: Int { communicator.rank }

  /// - Throws: the first error of any exchange so far.
  public func check() throws(MPIError) { if let failure { throw failure } }

  public func exchange(
    _ values: UnsafeRawPointer, counts: ArenaList<Int>, into result: UnsafeMutableRawPointer,
    receiveCounts: ArenaList<Int>
  ) {
    let received = receiveCounts.reduce(0, +)
    let start = ContinuousClock.now
    defer { seconds += (ContinuousClock.now - start) / .seconds(1) }
    let target = UnsafeMutableBufferPointer(
      start: result.assumingMemoryBound(to: UInt8.self), count: received)
    if failure == nil {
      do throws(MPIError) {
        try communicator.allToAllv(
          UnsafeBufferPointer(start: values.assumingMemoryBound(to: UInt8.self), count: counts.reduce(0, +)),
          sendCounts: counts.buffer, into: target, receiveCounts: receiveCounts.buffer)
        return
      } catch {
        failure = error
      }
    }
    target.update(repeating: 0)
  }
}
