import CAllocations
import Layers
import MPI
import Optimizers
import Parallelism
import Parameters
import Tensors
import TestSupport
import Testing
import Training
import TrainingSupport

/// The counter excludes allocations of Open MPI itself. The libraries that Open MPI calls may allocate occasionally,
/// but allocations of the project's code would occur every time.
extension ParallelismTests {
  private func minimumAllocations(_ work: () throws -> Void) rethrows -> Int64? {
    try (0..<10).map { _ in
      allocations_count(true)
      defer { allocations_count(false) }
      try work()
      return allocations_counted()
    }.min()
  }

  @Test("An exchange of blocks of any length allocates nothing")
  func exchangeAllocations() throws {
    let world = try Ranks.together()
    let counts = (0..<world.size).map { 3 * (world.rank + $0) }
    let values = [Float](repeating: Float(world.rank), count: counts.reduce(0, +))
    var result = [Float](repeating: -1, count: values.count)
    let minimum = try values.withUnsafeBufferPointer { values in
      try result.withUnsafeMutableBufferPointer { result in
        try counts.withUnsafeBufferPointer { counts in
          try minimumAllocations {
            try world.allToAllv(values, sendCounts: counts, into: result, receiveCounts: counts)
          }
        }
      }
    }
    #expect(minimum == 0)
    #expect(result == (0..<world.size).flatMap { [Float](repeating: Float($0), count: counts[$0]) })
  }

  /// Forward, loss and backward of two micro-batches, each a reduction unit; reduction, optimizer and packing. The
  /// rollout and the report are made outside of the measurement.
  ///
  /// fp32 sums begin in the last backward pass, through shared memory or, if every rank counts as a machine, by
  /// messages.
  @Test(
    "A step of a learner allocates nothing, on one machine and on several", arguments: [false, true],
    [(false, false), (false, true), (true, false), (true, true)])
  func stepAllocations(reproducible: Bool, other: (sharded: Bool, spread: Bool)) throws {
    let world = try Ranks.together()
    let machine = other.spread ? try world.split(color: world.rank, key: 0) : nil
    for expert in Ownership.validSizes(ranks: world.size, miniMoEs: 4) {
      let tiny = try TinyModel(seed: 191) { $0.numMiniMoes = 4 }
      let topology = try Topology(world: world, expert: expert, miniMoEs: 4, machine: machine)
      let masters = ParameterStore(tiny.model.table, holding: topology.ownership.held(in: tiny.model.table))
      for id in masters.held { _ = masters.values(id).update(fromContentsOf: tiny.masters.values(id)) }
      let learner = Learner(
        model: tiny.model, masters: masters, optimizer: AdamW(), sharded: other.sharded, mixedPrecision: true,
        reproducible: reproducible, topology: topology, context: tiny.context)
      #expect((learner.experts == nil) == (expert == 1))
      let batch = PolicyBatch(tiny, lengths: [[(3, 4), (3, 6)]], seed: 192 + UInt64(world.rank))
      let items = try batch.items()
      let noise = batch.diffusionInput(items)
      let pass = MicroBatchPass(
        tiny.model, PolicyObjective(batch.configuration), exchange: learner.experts?.exchange)
      var auxiliary = 0.0
      let minimum = try minimumAllocations {
        auxiliary = 0
        learner.begin()
        for unit in 0..<2 {
          let gradients = unit == 1 ? learner.reducer.lastPassGradients() : learner.gradients
          pass.accumulate(
            items, diffusion: noise, learner.weights, gradients, loads: learner.loads, learner.context
          ) { auxiliary += PolicyObjective.terms($1, of: items[$0]).aux }
          _ = try learner.reducer.finishUnit()
        }
        let reduced = try learner.reduce()
        try learner.update(norm: reduced.norm, learningRate: 1e-3, maximumNorm: 1, balanceRate: 1e-3)
      }
      #expect(minimum == 0, "parallel.expert \(expert)")
      #expect(auxiliary > 0 && learner.updates == 10)
    }
  }
}
