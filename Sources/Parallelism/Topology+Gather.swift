import MPI
import Parameters

extension Topology {
  /// Completes `masters`, of which every rank has updated its sharded `optimizerParts`. Collective.
  public func gatherUpdated(_ masters: ParameterStore) throws(MPIError) {
    let council = masters.councilRange
    try gather(masters, 0..<council.lowerBound, world)
    try gather(masters, council, dataGroup)
    try gather(masters, council.upperBound..<masters.buffer.count, world)
  }

  private func gather(_ masters: ParameterStore, _ segment: Range<Int>, _ ranks: Communicator) throws(MPIError) {
    guard ranks.size > 1, !segment.isEmpty else { return }
    let table = masters.table
    let isCouncil = ranks === dataGroup
    let common = masters.held.filter { table[$0].role != .balanceBias && (table[$0].miniMoE != nil) == isCouncil }
      .map { ParameterPart($0, 0..<table[$0].count) }
    // Where each rank's run of elements begins; a rank with nothing here begins where the next one does.
    var starts = [Int](repeating: segment.upperBound, count: ranks.size + 1)
    for rank in (0..<ranks.size).reversed() {
      let first = ParameterPart.share(common, index: rank, of: ranks.size).first {
        segment.contains(masters.offset($0.id))
      }
      starts[rank] = first.map { masters.offset($0.id) + $0.elements.lowerBound } ?? starts[rank + 1]
    }
    starts[0] = segment.lowerBound
    let counts = (0..<ranks.size).map { starts[$0 + 1] - starts[$0] }
    try ranks.allGatherv(
      UnsafeMutableBufferPointer(rebasing: masters.buffer.bufferPointer[segment]), counts: counts)
  }
}
