import MPI
import Parameters

/// All-gathers masters after every rank has updated its `optimizerParts` (`optimizer.shard`). The transfers are planned
/// once, so a call allocates nothing.
public struct MasterGathering: Sendable {
  /// Elements that several ranks hold, and how many of them each rank has updated, in rank order.
  private struct Segment {
    let ranks: Communicator
    let elements: Range<Int>
    let counts: [Int]
  }

  private let segments: [Segment]

  /// - Parameter masters: a store with the layout of the masters to gather.
  public init(_ masters: ParameterStore, _ topology: Topology) {
    let council = masters.councilRange
    segments = [
      Self.segment(masters, 0..<council.lowerBound, topology.world, ofCouncil: false),
      Self.segment(masters, council, topology.dataGroup, ofCouncil: true),
      Self.segment(masters, council.upperBound..<masters.buffer.count, topology.world, ofCouncil: false),
    ].compactMap { $0 }
  }

  private static func segment(
    _ masters: ParameterStore, _ elements: Range<Int>, _ ranks: Communicator, ofCouncil: Bool
  ) -> Segment? {
    guard ranks.size > 1, !elements.isEmpty else { return nil }
    let table = masters.table
    let common = masters.held.filter { table[$0].role != .balanceBias && (table[$0].miniMoE != nil) == ofCouncil }
      .map { ParameterPart($0, 0..<table[$0].count) }
    // First element of each rank's run; a rank without elements has the first element of the next rank's run.
    var starts = [Int](repeating: elements.upperBound, count: ranks.size + 1)
    for rank in (0..<ranks.size).reversed() {
      let first = ParameterPart.share(common, index: rank, of: ranks.size).first {
        elements.contains(masters.offset($0.id))
      }
      starts[rank] = first.map { masters.offset($0.id) + $0.elements.lowerBound } ?? starts[rank + 1]
    }
    starts[0] = elements.lowerBound
    return Segment(
      ranks: ranks, elements: elements, counts: (0..<ranks.size).map { starts[$0 + 1] - starts[$0] })
  }

  /// Collective.
  public func callAsFunction(_ masters: ParameterStore) throws(MPIError) {
    for segment in segments {
      try segment.ranks.allGatherv(
        UnsafeMutableBufferPointer(rebasing: masters.buffer.bufferPointer[segment.elements]), counts: segment.counts)
    }
  }
}
