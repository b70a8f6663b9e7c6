import Layers
import MPI

/// This rank's share of the expert parallelism of its group.
public final class ExpertGroup {
  /// Sends rows of a training pass to the owners of their mini-MoEs.
  public let exchange: CouncilExchange
  private let transport: CommunicatorTransport
  private let communicator: Communicator

  /// Returns nil if every rank holds all mini-MoEs.
  public init?(_ topology: Topology, _ reducer: GradientReducer) {
    guard topology.ownership.size > 1 else { return nil }
    communicator = topology.expertGroup
    transport = CommunicatorTransport(communicator)
    exchange = CouncilExchange(transport, owned: topology.ownership.owned, separate: reducer.separate)
  }

  /// The largest number of micro-batches of any rank, for each reduction unit. A rank with fewer micro-batches takes
  /// part with empty ones. Collective in the expert group, as every reduction unit and micro-batch is.
  public func agree(microBatches counts: [Int]) throws(MPIError) -> [Int] {
    let units = try communicator.allReduce(counts.count, .maximum)
    guard units > 0 else { return [] }
    return try communicator.allReduce(counts + [Int](repeating: 0, count: units - counts.count), .maximum)
  }

  /// - Throws: `MPIError` if an exchange has failed; then no gradient or loss of the passes since may be used.
  public func check() throws(MPIError) { try transport.check() }

  /// Seconds spent in exchanges so far, including the wait for other ranks.
  public var seconds: Double { transport.seconds }
}
