import MPI
import Optimizers
import Parallelism
import Rollouts
import Testing
import Training
import TrainingSupport

/// Results that the number of ranks must not change. Every test computes the same run twice, on all ranks together and
/// on each rank alone, so one job is enough: `swift test` tests one rank; `mpirun -n 4 <test bundle> --testing-library
/// swift-testing --no-parallel --filter ParallelismTests` tests four.
@Suite(.serialized) struct ParallelismTests {
  /// The results of a run, in the order of the groups.
  struct Trace: Equatable {
    var groups: [[Int64]] = []
    var metrics: [[String: UInt64]] = []
    var weights: [Int64] = []

    init(_ run: TinyRun, _ communicator: Communicator, steps: Int, without names: Set<String> = []) throws {
      let trainer = try run.trainer(communicator)
      for step in 0..<steps {
        let batch = try trainer.sampleGroups(step: step)
        let local = batch.groups.map { group in
          var fingerprint = Fingerprint()
          fingerprint.add(group)
          return fingerprint.value
        }
        groups.append(try communicator.allGatherv(local).flatMap { $0 })
        metrics.append(try trainer.step().metrics.bits(without: names))
      }
      weights = try Fingerprint.of(trainer.learner)
    }
  }

  @Test("The first step's prompts, rollouts, rewards and losses match a run on one rank")
  func firstStep() throws {
    for accumulation in [1, 3] {
      let run = try TinyRun {
        $0.rl.accumulationSteps = accumulation
        $0.debug.assertExact = true
      }
      // The order of floating-point sums, and with it the gradient norm, depends on the number of ranks.
      let together = try Trace(run, Ranks.together(), steps: 1, without: ["grad_norm"])
      let alone = try Trace(run, Ranks.alone(), steps: 1, without: ["grad_norm"])
      #expect(together.groups == alone.groups)
      #expect(try together.groups[0].count == Ranks.groups())
      #expect(try Set(together.groups[0]).count == Ranks.groups())
      #expect(together.metrics == alone.metrics)
    }
  }

  @Test("Reproducible: rollouts, losses and weights of 20 steps match a run on one rank", arguments: [1, 3])
  func reproducible(interval: Int) throws {
    var run = try TinyRun {
      $0.parallel.reproducible = true
      $0.rl.oldPolicyInterval = interval
      $0.rl.objective.klCoef = interval == 1 ? 0 : 0.05
      $0.debug.assertExact = true
    }
    let together = try Trace(run, Ranks.together(), steps: 20)
    run.threads = 2
    let alone = try Trace(run, Ranks.alone(), steps: 20)
    for step in 0..<20 {
      #expect(together.groups[step] == alone.groups[step], "step \(step)")
      #expect(together.metrics[step] == alone.metrics[step], "step \(step)")
    }
    #expect(together.weights == alone.weights)
    #expect(try Set(together.groups.flatMap { $0 }).count == 20 * Ranks.groups())
  }

  @Test("Reproducible with dynamic sampling, two mini-batches and two epochs: all steps match a run on one rank")
  func dynamicSampling() throws {
    var run = try TinyRun {
      $0.parallel.reproducible = true
      $0.rl.dynamicSampling = true
      $0.rl.maxResampleTimes = 2
      $0.rl.miniBatches = 2
      $0.rl.ppoEpochs = 2
      $0.rl.numTrajectories = 2
      $0.debug.assertExact = true
    }
    run.rewards = try WeightedRewards([WeightedRewards.Term(DivisibleSum(divisor: 3))])
    func trace(_ communicator: Communicator) throws -> ([PromptLedger?], [[String: UInt64]], Fingerprint) {
      let trainer = try run.trainer(communicator)
      let reports = try (0..<12).map { _ in try trainer.step() }
      return (reports.map(\.prompts), reports.map { $0.metrics.bits() }, Fingerprint.of(trainer.learner.masters))
    }
    let together = try trace(Ranks.together())
    let alone = try trace(Ranks.alone())
    #expect(together.0 == alone.0)
    #expect(together.0.contains { $0?.dropped["uniform"] != nil })
    for (step, (one, two)) in zip(together.1, alone.1).enumerated() { #expect(one == two, "step \(step)") }
    #expect(together.2 == alone.2)
  }

  @Test("Reproducible pre-training: losses and weights of 5 steps match a run on one rank")
  func pretraining() throws {
    func trace(_ run: TinyRun, _ communicator: Communicator) throws -> ([[String: UInt64]], [Int64]) {
      let trainer = try run.pretrainer(communicator)
      let metrics = try (0..<5).map { _ in try trainer.step().metrics.bits() }
      return (metrics, try Fingerprint.of(trainer.learner))
    }
    var run = try TinyRun { $0.parallel.reproducible = true }
    let together = try trace(run, Ranks.together())
    run.threads = 2
    let alone = try trace(run, Ranks.alone())
    #expect(together.0 == alone.0)
    #expect(together.1 == alone.1)
  }

  @Test("Every rank ends a step with the same weights, reproducible or not")
  func equalWeights() throws {
    for reproducible in [false, true] {
      let ranks = try Ranks.together()
      let trainer = try TinyRun { $0.parallel.reproducible = reproducible }.trainer(ranks)
      for _ in 0..<3 { _ = try trainer.step() }
      let all = try ranks.allGather(Fingerprint.of(trainer.learner.masters).value)
      #expect(Set(all).count == 1)
    }
  }

  @Test(
    "Optimizer state divided among the ranks gives the same weights",
    arguments: [false, true], [MomentFormat.fp32, .int8])
  func sharded(reproducible: Bool, state: MomentFormat) throws {
    let ranks = try Ranks.together()
    func weights(sharded: Bool) throws -> (Fingerprint, Int) {
      let trainer = try TinyRun {
        $0.parallel.reproducible = reproducible
        $0.optimizer.shard = sharded
        $0.optimizer.state = state
      }.trainer(ranks)
      for _ in 0..<4 { _ = try trainer.step() }
      return (Fingerprint.of(trainer.learner.masters), trainer.learner.firstMoments.byteCount)
    }
    let (complete, all) = try weights(sharded: false)
    let (split, part) = try weights(sharded: true)
    #expect(complete == split)
    #expect(part <= all / ranks.size + 4 * 4096)
  }

  @Test("Evaluation metrics match a run on one rank")
  func evaluation() throws {
    let run = try TinyRun()
    func results(_ communicator: Communicator) throws -> [Evaluator.TaskResult] {
      let assembly = try run.assembly(communicator)
      let weights = assembly.model.makePackedModel()
      assembly.model.pack(try assembly.masters(), into: weights, assembly.context)
      let evaluator = Evaluator(
        configuration: run.configuration, model: assembly.model, tokenizer: assembly.tokenizer,
        communicator: communicator, context: assembly.context)
      let rewards = try WeightedRewards([WeightedRewards.Term(ArbitraryReward())])
      return try [0, 3].map {
        try evaluator.task(assembly.prompts(), rewards, count: 11, samples: $0, weights)
      }
    }
    for (together, alone) in zip(try results(Ranks.together()), try results(Ranks.alone())) {
      #expect(together.reward != nil && together.reward?.bitPattern == alone.reward?.bitPattern)
      #expect(together.meanLength.bitPattern == alone.meanLength.bitPattern)
      #expect(together.exactMatch == alone.exactMatch)
      #expect(together.finished == alone.finished)
    }
  }

  @Test("A non-finite loss on one rank stops all ranks with the same message")
  func nonfinite() throws {
    for reproducible in [false, true] {
      let ranks = try Ranks.together()
      let trainer = try TinyRun { $0.parallel.reproducible = reproducible }.trainer(ranks)
      var groups = try trainer.sampleGroups(step: 0).groups
      if ranks.rank == ranks.size - 1 {
        let last = groups[groups.count - 1].trajectories.count - 1
        groups[groups.count - 1].trajectories[last] = groups[groups.count - 1].trajectories[last].damaged
      }
      let before = Fingerprint.of(trainer.learner.masters)
      let error = #expect(throws: TrainingError.self) { try trainer.trainStep(groups) }
      #expect(error?.isAgreed == true)
      let last = try 4 * Ranks.groups() - 1
      #expect(
        error?.description.hasPrefix("step 1: the loss of trajectory \(last) is not finite; the gradient of ") == true)
      #expect(before == Fingerprint.of(trainer.learner.masters))
    }
  }
}

/// 1 for completions whose bytes add up to a multiple of the divisor, otherwise 0.
private struct DivisibleSum: Reward {
  let name = "divisible_sum"
  let divisor: Int

  func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    completion.utf8.reduce(0) { $0 + Int($1) }.isMultiple(of: divisor) ? 1 : 0
  }
}
