import Layers
import LowBit
import MPI
import Models
import Parallelism
import Parameters
import Tensors
import Testing
import Training
import TrainingSupport

/// Gradient sums that begin during backward, with ranks that count as machines.
extension ParallelismTests {
  /// A reducer of a tiny model's gradients whose sums over the ranks are known and exact.
  private struct Reduction {
    let reducer: GradientReducer
    let topology: Topology
    let order: [ParameterID]

    init(expert: Int, ranksOfMachine: Int) throws {
      var configuration = TinyRun.model(vocabulary: 40)
      configuration.numMiniMoes = 4
      let model = try QuillanModel(configuration, PrecisionConfiguration())
      let world = try Ranks.together()
      topology = try Topology(
        world: world, expert: expert, miniMoEs: model.configuration.numMiniMoes,
        machine: world.split(color: world.rank / ranksOfMachine, key: 0))
      order = model.gradientOrder
      reducer = GradientReducer(
        model.table, order: order, topology: topology, mixedPrecision: true, reproducible: false,
        pool: WorkerPool(threads: 1))
    }

    private var store: ParameterStore { reducer.gradients }

    private func value(_ id: ParameterID, _ element: Int, rank: Int, step: Int) -> Float {
      Float((id.index * 31 + element) % 1000 * (rank + 1) + step)
    }

    func begin(step: Int) {
      reducer.begin()
      for id in store.held {
        for element in 0..<store.table[id].count {
          store.pointer(id)[element] = value(id, element, rank: topology.world.rank, step: step)
        }
      }
    }

    /// Whether a tensor contains its sum over the ranks that hold it.
    func isSummed(_ id: ParameterID, step: Int) -> Bool {
      let (world, data) = (topology.world, topology.dataGroup)
      let apart = world.size / data.size
      let ranks =
        store.table[id].miniMoE == nil
        ? Array(0..<world.size) : (0..<data.size).map { $0 * apart + world.rank % apart }
      return (0..<store.table[id].count).allSatisfy { element in
        store.pointer(id)[element] == ranks.reduce(0) { $0 + value(id, element, rank: $1, step: step) }
      }
    }

    func expectSums(step: Int, _ comment: Comment) {
      for id in store.held { #expect(isSummed(id, step: step), "\(store.table[id].name) of step \(step), \(comment)") }
    }
  }

  private func reductions(_ body: (Reduction, Comment) throws -> Void) throws {
    let size = try Ranks.together().size
    for expert in [1, 2, 4] where size.isMultiple(of: expert) && size > 1 {
      for ranksOfMachine in [1, 2] where ranksOfMachine < size {
        try body(
          try Reduction(expert: expert, ranksOfMachine: ranksOfMachine),
          "parallel.expert \(expert), \(ranksOfMachine) ranks a machine")
      }
    }
  }

  @Test("Gradients are summed before the pass ends, whatever the order in which they become final")
  func overlap() throws {
    try reductions { reduction, comment in
      let reducer = reduction.reducer
      // The first step creates the communicators.
      for step in 0..<6 {
        reduction.begin(step: step)
        let last = reducer.lastPassGradients()
        // The orders differ between ranks, and a rank may have no pass.
        if step != 3 || reduction.topology.world.rank > 0 {
          var order = reduction.order
          if step.isMultiple(of: 2) { order.reverse() }
          let turn = order.count * (reduction.topology.world.rank + step) / 7 % order.count
          for id in order[turn...] + order[..<turn] { last.finish([id, id]) }
        }
        try reducer.reduce()
        reduction.expectSums(step: step, comment)
      }
    }
  }

  @Test("Final gradients are summed while others are not final")
  func beginning() throws {
    try reductions { reduction, comment in
      let reducer = reduction.reducer
      reduction.begin(step: 0)
      try reducer.reduce()
      reduction.begin(step: 1)
      let last = reducer.lastPassGradients()
      // The last layer's two norms, two matrices, and router with its bias form one bucket.
      let layer = reduction.order.prefix(6)
      last.finish(Array(layer))
      let deadline = ContinuousClock.now + .seconds(20)
      while !layer.allSatisfy({ reduction.isSummed($0, step: 1) }), ContinuousClock.now < deadline { last.finish([]) }
      #expect(layer.allSatisfy { reduction.isSummed($0, step: 1) }, comment)
      let others = reduction.order[6...].filter { reducer.gradients.table[$0].miniMoE == nil }
      #expect(others.allSatisfy { !reduction.isSummed($0, step: 1) }, comment)
      try reducer.reduce()
      reduction.expectSums(step: 1, comment)
    }
  }

  @Test(
    "Steps whose sums begin during backward equal steps whose sums begin after it, bit for bit",
    arguments: [false, true], [false, true])
  func overlap(mixedPrecision: Bool, isSharded: Bool) throws {
    let ranks = try Ranks.together()
    func trace(isEarly: Bool, isSpread: Bool, expert: Int) throws -> Trace {
      var run = try TinyRun {
        $0.model.numMiniMoes = 4
        $0.rl.useMixedPrecision = mixedPrecision
        $0.rl.accumulationSteps = 2
        $0.optimizer.shard = isSharded
        $0.parallel.expert = expert
        // The checks of debug mode read gradients before the sums, so no sum begins early.
        $0.debug.checks = !isEarly
      }
      run.isSpread = isSpread
      return try Trace(run, ranks, steps: 4)
    }
    for expert in [1, 2, 4] where ranks.size.isMultiple(of: expert) {
      let early = try trace(isEarly: true, isSpread: true, expert: expert)
      #expect(early == (try trace(isEarly: false, isSpread: true, expert: expert)), "parallel.expert \(expert)")
      // The sum of two numbers does not depend on the algorithm.
      guard ranks.size == 2 else { continue }
      #expect(early == (try trace(isEarly: true, isSpread: false, expert: expert)), "parallel.expert \(expert)")
    }
  }

  @Test("Pre-training with sums during backward ends with the same weights, bit for bit")
  func overlapOfPretraining() throws {
    let ranks = try Ranks.together()
    func weights(isEarly: Bool) throws -> [Int64] {
      var run = try TinyRun { $0.debug.checks = !isEarly }
      run.isSpread = true
      let trainer = try run.pretrainer(ranks)
      for _ in 0..<4 { _ = try trainer.step() }
      return try Fingerprint.of(trainer.learner)
    }
    #expect(try weights(isEarly: true) == weights(isEarly: false))
  }
}
