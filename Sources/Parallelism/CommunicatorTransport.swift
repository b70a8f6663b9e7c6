import Layers
import MPI
import Tensors

/// Carries the messages of expert parallelism over MPI, between the ranks of one expert group.
///
/// Layers cannot throw inside a pass. So the transport keeps the first MPI error for `check` to throw; from then on it
/// sends nothing and returns zeros.
public final class CommunicatorTransport: ExpertTransport {
  /// Seconds spent in exchanges, including the wait for other ranks.
  public private(set) var seconds = 0.0
  private let communicator: Communicator
  private var failure: MPIError?

  public init(_ communicator: Communicator) { self.communicator = communicator }

  public var size: Int { communicator.size }
  public var rank: Int { communicator.rank }

  /// - Throws: the first error of any exchange since the transport was made.
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
