import Layers
import MPI

/// This rank's part in the expert parallelism of its group.
public final class ExpertGroup {
  /// Through which training passes send rows to the owners of their mini-MoEs.
  public let exchange: CouncilExchange
  private let transport: CommunicatorTransport
  private let communicator: Communicator

  /// Nil where every rank holds all mini-MoEs.
  public init?(_ topology: Topology, _ reducer: GradientReducer) {
    guard topology.ownership.size > 1 else { return nil }
    communicator = topology.expertGroup
    transport = CommunicatorTransport(communicator)
    exchange = CouncilExchange(transport, owned: topology.ownership.owned, separate: reducer.separate)
  }

  /// For each unit, the micro-batches that the rank with most has; a rank with fewer takes part with no tokens.
  /// Collective in the group, as every unit and micro-batch is.
  public func agree(microBatches counts: [Int]) throws(MPIError) -> [Int] {
    let units = try communicator.allReduce(counts.count, .maximum)
    guard units > 0 else { return [] }
    return try communicator.allReduce(counts + [Int](repeating: 0, count: units - counts.count), .maximum)
  }

  /// - Throws: where a message was lost since the group was made; no gradient or loss since may be used.
  public func check() throws(MPIError) { try transport.check() }

  /// Seconds in exchanges so far, waiting for other ranks included.
  public var seconds: Double { transport.seconds }
}
