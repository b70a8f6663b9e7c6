import CAllocations
import MPI
import Parallelism
import Tensors
import TestSupport
import Testing

extension ParallelismTests {
  /// Values whose sums are exact in fp32, so that no order shows.
  private static func values(rank: Int, count: Int) -> [Int] { (0..<count).map { ($0 % 1000) * (rank + 1) - rank } }

  /// How many ranks share a machine: all, at most two, or the first machine has all but one.
  enum Machines: CaseIterable { case one, pairs, uneven }

  @Test("Sums through shared memory are those of all ranks", arguments: [0, 1, 37, 65_536, 200_003], Machines.allCases)
  func hierarchicalSum(count: Int, machines: Machines) throws {
    let world = try Ranks.together()
    let machine =
      switch machines {
      case .one: try world.splitByMachine()
      case .pairs: try world.split(color: world.rank / 2, key: 0)
      case .uneven: try world.split(color: world.rank == world.size - 1 ? 1 : 0, key: 0)
      }
    let sum = try HierarchicalSum(world, machine: machine, pool: WorkerPool(threads: machines == .one ? 2 : 1))
    let expected = (0..<count).map { index in
      (0..<world.size).reduce(0) { $0 + (index % 1000) * ($1 + 1) - $1 }
    }
    var floats = Self.values(rank: world.rank, count: count).map(Float.init)
    var integers = Self.values(rank: world.rank, count: count).map(Int64.init)
    // A second time: what the first left in shared memory must not count.
    for _ in 0..<2 {
      floats = Self.values(rank: world.rank, count: count).map(Float.init)
      integers = Self.values(rank: world.rank, count: count).map(Int64.init)
      try floats.withUnsafeMutableBufferPointer { try sum($0) }
      try integers.withUnsafeMutableBufferPointer { try sum($0) }
    }
    #expect(floats == expected.map(Float.init))
    #expect(integers == expected.map(Int64.init))
  }

  /// Where every rank holds all mini-MoEs; `stepAllocations` has the others.
  @Test("Ending a unit and reducing allocate nothing, as fixed point and as fp32", arguments: [false, true])
  func allocations(reproducible: Bool) throws {
    let tiny = try TinyModel(seed: 1)
    let topology = try Topology(world: Ranks.together(), expert: 1, miniMoEs: tiny.model.configuration.numMiniMoes)
    let reducer = GradientReducer(
      tiny.model.table, topology: topology, mixedPrecision: true, reproducible: reproducible,
      pool: WorkerPool(threads: 1))
    // The first reduction makes its communicators, and MPI may allocate for messages: ours would come every time.
    let counts = try (0..<10).map { _ in
      allocations_count(true)
      defer { allocations_count(false) }
      reducer.begin()
      _ = try reducer.endUnit()
      try reducer.reduce()
      return allocations_counted()
    }
    #expect(counts.min() == 0)
  }
}
