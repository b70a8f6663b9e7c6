import CKernels
import MPI
import Parallelism
import Parameters

/// Debug mode's comparison of what several ranks hold: the masters' hashes (XXH64), tensor by tensor.
enum ReplicaHash {
  /// Names the first tensor, in the order of names, that is not the same bits on the ranks that hold it; nil where all are.
  /// The same words on every rank. Collective.
  static func difference(_ masters: ParameterStore, _ topology: Topology) throws(MPIError) -> String? {
    let table = masters.table
    let hashes = masters.held.map { id -> UInt64 in
      let values = masters.values(id)
      return ck_xxh64(values.baseAddress, Int64(values.count * MemoryLayout<Float>.stride), 0)
    }
    var own = (tensor: table.count, text: "")
    for (ranks, isCouncil) in [(topology.world, false), (topology.dataGroup, true)] where ranks.size > 1 {
      let places = masters.held.indices.filter { (table[masters.held[$0]].miniMoE != nil) == isCouncil }
      let all = try ranks.allGather(places.map { hashes[$0] })
      guard
        let place = places.indices.first(where: { place in
          (1..<ranks.size).contains { all[$0 * places.count + place] != all[place] }
        })
      else { continue }
      let id = masters.held[places[place]]
      let other = (1..<ranks.size).first { all[$0 * places.count + place] != all[place] } ?? 0
      let element = try firstDifference(masters, id, ranks, other)
      if id.index < own.tensor { own = (id.index, "\(table[id].name)\(element)") }
    }
    let world = topology.world
    let first = try world.allReduce(own.tensor, .minimum)
    guard first < table.count else { return nil }
    let speaker = try world.allReduce(own.tensor == first ? world.rank : world.size, .minimum)
    return String(decoding: try world.broadcast(Array(own.text.utf8), from: speaker), as: UTF8.self)
  }

  /// The first element of a tensor in which the first rank of `ranks` and `other` differ, with both values.
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
