import CKernels
import MPI
import Parallelism
import Parameters

/// Compares the masters of several ranks in debug mode by the hash (XXH64) of each tensor.
enum ReplicaHash {
  /// Describes the first tensor, in the order of the table, that differs between the ranks that hold it; nil if all agree.
  /// Returns the same text on every rank. Collective.
  static func difference(_ masters: ParameterStore, _ topology: Topology) throws(MPIError) -> String? {
    let table = masters.table
    let hashes = masters.held.map { id -> UInt64 in
      let values = masters.values(id)
      return ck_xxh64(values.baseAddress, Int64(values.count * MemoryLayout<Float>.stride), 0)
    }
    var own = (tensor: table.count, text: "")
    for (ranks, isCouncil) in [(topology.world, false), (topology.dataGroup, true)] where ranks.size > 1 {
      let positions = masters.held.indices.filter { (table[masters.held[$0]].miniMoE != nil) == isCouncil }
      let all = try ranks.allGather(positions.map { hashes[$0] })
      guard
        let index = positions.indices.first(where: { index in
          (1..<ranks.size).contains { all[$0 * positions.count + index] != all[index] }
        })
      else { continue }
      let id = masters.held[positions[index]]
      let other = (1..<ranks.size).first { all[$0 * positions.count + index] != all[index] } ?? 0
      let element = try firstDifference(masters, id, ranks, other)
      if id.index < own.tensor { own = (id.index, "\(table[id].name)\(element)") }
    }
    let world = topology.world
    let first = try world.allReduce(own.tensor, .minimum)
    guard first < table.count else { return nil }
    let speaker = try world.allReduce(own.tensor == first ? world.rank : world.size, .minimum)
    return try world.broadcast(own.text, from: speaker)
  }

  /// Describes the first element of a tensor that differs between rank 0 and rank `other` of `ranks`, with both values.
  private static func firstDifference(
    _ masters: ParameterStore, _ id: ParameterID, _ ranks: Communicator, _ other: Int
  ) throws(MPIError) -> String {
    let first = try ranks.broadcast(Array(masters.values(id)), from: 0)
    let second = try ranks.broadcast(Array(masters.values(id)), from: other)
    let worldRanks = try ranks.allGather(Environment.world?.rank ?? ranks.rank)
    guard let element = first.indices.first(where: { first[$0].bitPattern != second[$0].bitPattern }) else { return "" }
    return
      "[\(element)] is \(first[element]) on rank \(worldRanks[0]) and \(second[element]) on rank \(worldRanks[other])"
  }
}
