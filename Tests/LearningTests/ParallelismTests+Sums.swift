import CAllocations
import MPI
import Parallelism
import Tensors
import TestSupport
import Testing
import TrainingSupport

extension ParallelismTests {
  /// Values whose sums are exact in fp32, so that the order of summation does not matter.
  private static func values(rank: Int, count: Int) -> [Int] { (0..<count).map { ($0 % 1000) * (rank + 1) - rank } }

  /// Ranks per machine: all; at most two; all but one on the first machine; one each.
  enum Machines: CaseIterable { case one, pairs, uneven, each }

  @Test(
    "Sums through shared memory equal the sums over all ranks, blocking and polled",
    arguments: [0, 1, 37, 65_536, 200_003, 4_300_001], Machines.allCases)
  func hierarchicalSum(count: Int, machines: Machines) throws {
    let world = try Ranks.together()
    let color =
      switch machines {
      case .one: 0
      case .pairs: world.rank / 2
      case .uneven: world.rank == world.size - 1 ? 1 : 0
      case .each: world.rank
      }
    let sum = try HierarchicalSum(
      world, machine: #require(try world.split(color: color, key: 0)),
      pool: WorkerPool(threads: machines == .one ? 2 : 1))
    let expected = (0..<count).map { index in
      (0..<world.size).reduce(0) { $0 + (index % 1000) * ($1 + 1) - $1 }
    }
    // Repeated, since an earlier sum leaves its values in shared memory.
    for round in 0..<4 {
      var floats = Self.values(rank: world.rank, count: count).map(Float.init)
      var integers = Self.values(rank: world.rank, count: count).map(Int64.init)
      try floats.withUnsafeMutableBufferPointer { values in
        guard round.isMultiple(of: 2) else { return try sum(values) }
        var steps = SteppedSum(sum, values, owner: sum)
        var looks = 0
        // The last rank only polls, and waits after a thousand polls.
        while try !steps.advance(waits: world.rank < world.size - 1 || looks > 1000) { looks += 1 }
      }
      try integers.withUnsafeMutableBufferPointer { try sum($0) }
      #expect(floats == expected.map(Float.init))
      #expect(integers == expected.map(Int64.init))
    }
  }

  @Test("A polled sum keeps the owner of its buffer while MPI may write to it, and frees the owner after its end")
  func droppedSum() throws {
    let world = try Ranks.together()
    let machine = try #require(try world.split(color: 0, key: 0))
    let sum = try HierarchicalSum(world, machine: machine, pool: WorkerPool(threads: 1))
    weak var completed: AlignedBuffer<Float>?
    weak var dropped: AlignedBuffer<Float>?
    func run(waits: Bool) throws -> (owner: AlignedBuffer<Float>?, isDone: Bool) {
      let owner = AlignedBuffer<Float>(count: 64)
      var steps = SteppedSum(sum, owner.bufferPointer, owner: owner)
      return (owner, try steps.advance(waits: waits))
    }
    do {
      let (owner, isDone) = try run(waits: true)
      completed = owner
      #expect(isDone)
    }
    #expect(completed == nil)
    guard world.size > 1 else { return }
    // Rank 0 drops its sum before the other ranks start theirs; then they enter the barrier that it started.
    if world.rank == 0 {
      let (owner, isDone) = try run(waits: false)
      dropped = owner
      #expect(!isDone)
    }
    #expect((dropped == nil) == (world.rank != 0))
    try world.barrier()
    if world.rank != 0 { try machine.iBarrier().wait() }
    try world.barrier()
  }

  /// Every rank holds all mini-MoEs here; `stepAllocations` tests the other cases.
  @Test("Finishing a unit and reducing allocate nothing, in fixed point and in fp32", arguments: [false, true])
  func allocations(reproducible: Bool) throws {
    let tiny = try TinyModel(seed: 1)
    let topology = try Topology(world: Ranks.together(), expert: 1, miniMoEs: tiny.model.configuration.numMiniMoes)
    let reducer = GradientReducer(
      tiny.model.table, topology: topology, mixedPrecision: true, reproducible: reproducible,
      pool: WorkerPool(threads: 1))
    // The first reduction creates its communicators, and MPI may allocate for messages; the reducer's own allocations
    // would occur every time.
    let counts = try (0..<10).map { _ in
      allocations_count(true)
      defer { allocations_count(false) }
      reducer.begin()
      _ = try reducer.finishUnit()
      try reducer.reduce()
      return allocations_counted()
    }
    #expect(counts.min() == 0)
  }
}
