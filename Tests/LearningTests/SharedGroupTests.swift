import MPI
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

/// Groups whose trajectories several ranks sample and train on, with more ranks than groups if the job has several ranks:
/// `mpirun -n 8 <test bundle> … --filter SharedGroupTests`. Every test makes the same run on all ranks together and on each
/// rank alone.
@Suite(.serialized) struct SharedGroupTests {
  private struct Trace {
    var metrics: [[String: UInt64]] = []
    var prompts: [PromptLedger?] = []
    /// The first samples of each rollout, on rank 0.
    var samples: [[CompletionSample]] = []
    var weights: [Int64] = []

    init(_ trainer: Trainer, steps: Int, without names: Set<String> = []) throws {
      for _ in 0..<steps {
        let report = try trainer.step()
        metrics.append(report.metrics.bits(without: names))
        prompts.append(report.prompts)
        samples.append(trainer.communicator.rank == 0 ? Array(report.samples.prefix(8)) : [])
      }
      weights = try Fingerprint.of(trainer.learner)
    }
  }

  private func expectSame(_ run: TinyRun, steps: Int) throws {
    let ranks = try Ranks.together()
    let together = try Trace(run.trainer(ranks), steps: steps)
    let alone = try Trace(run.trainer(Ranks.alone()), steps: steps)
    try expectSame(together, alone, on: ranks)
    #expect(together.weights == alone.weights)
  }

  private func expectSame(_ together: Trace, _ alone: Trace, on ranks: Communicator) throws {
    for (step, (one, two)) in zip(together.metrics, alone.metrics).enumerated() { #expect(one == two, "step \(step)") }
    #expect(together.prompts == alone.prompts)
    guard ranks.rank == 0 else { return }
    // Equal but for rewards that are NaN.
    func text(_ samples: [[CompletionSample]]) -> [[String]] { samples.map { $0.map { "\($0)" } } }
    #expect(text(together.samples) == text(alone.samples))
  }

  @Test("The first step's rollouts and losses match a run on one rank", arguments: [1, 2])
  func firstStep(groups: Int) throws {
    let ranks = try Ranks.together()
    let run = try TinyRun {
      $0.rl.batchSize = groups
      $0.debug.assertExact = true
    }
    // The order of floating-point sums, and with it the gradient norm, depends on the number of ranks.
    let together = try Trace(run.trainer(ranks), steps: 1, without: ["grad_norm"])
    let alone = try Trace(run.trainer(Ranks.alone()), steps: 1, without: ["grad_norm"])
    try expectSame(together, alone, on: ranks)
  }

  @Test("Reproducible: losses and weights of several steps match a run on one rank", arguments: [1, 2])
  func reproducible(groups: Int) throws {
    try expectSame(
      TinyRun {
        $0.rl.batchSize = groups
        $0.parallel.reproducible = true
        $0.debug.assertExact = true
      }, steps: 8)
  }

  @Test("Reproducible, with groups of several units: losses and weights match a run on one rank")
  func units() throws {
    // 40 sequences of about 12 tokens: the units of a group have up to 256 tokens.
    try expectSame(
      TinyRun {
        $0.rl.batchSize = 1
        $0.rl.numTrajectories = 40
        $0.parallel.reproducible = true
        $0.rl.gradientCheckpointing = true
      }, steps: 4)
  }

  @Test("Reproducible, with all that changes a group: losses and weights match a run on one rank")
  func options() throws {
    try expectSame(
      TinyRun {
        $0.rl.batchSize = 1
        $0.rl.miniBatches = 2
        $0.rl.ppoEpochs = 2
        $0.rl.oldPolicyInterval = 2
        $0.rl.objective.klCoef = 0.05
        $0.rl.demonstrations = true
        $0.rl.zeroAdvantage = .skip
        $0.rl.objective.advantage = .clip01
        $0.rl.overlongFilter = true
        $0.rl.overlongCache = 2
        $0.rl.targetKL = 1e-5
        $0.logging.normsEvery = 1
        $0.parallel.reproducible = true
      }, steps: 8)
  }

  @Test("Reproducible, with uniform and unscored trajectories: drawn prompts and weights match a run on one rank")
  func dropped() throws {
    var run = try TinyRun {
      $0.rl.batchSize = 2
      $0.rl.dynamicSampling = true
      $0.rl.maxResampleTimes = 3
      $0.parallel.reproducible = true
    }
    run.rewards = try WeightedRewards([WeightedRewards.Term(Uneven())])
    try expectSame(run, steps: 6)
  }

  @Test("Reproducible, with expert parallelism: losses and weights match a run on one rank")
  func experts() throws {
    let ranks = try Ranks.together()
    func run(_ expert: Int) throws -> TinyRun {
      try TinyRun {
        $0.model.numMiniMoes = 8
        $0.rl.batchSize = 2
        $0.rl.numTrajectories = 20
        $0.parallel.expert = expert
        $0.parallel.reproducible = true
        $0.debug.assertExact = true
      }
    }
    let alone = try Trace(run(1).trainer(Ranks.alone()), steps: 4)
    for expert in Ownership.validSizes(ranks: ranks.size, miniMoEs: 8) {
      let together = try Trace(run(expert).trainer(ranks), steps: 4)
      try expectSame(together, alone, on: ranks)
      #expect(together.weights == alone.weights, "parallel.expert \(expert)")
    }
  }

  @Test("Reproducible, on recorded trajectories of several sequences: losses and weights match a run on one rank")
  func recorded() throws {
    func trainer(_ communicator: Communicator) throws -> Trainer {
      let run = try TinyRun {
        $0.rl.batchSize = 2
        $0.parallel.reproducible = true
      }
      func sequence(_ written: [Int32]) -> RecordedSequence {
        RecordedSequence(
          tokens: [65, 66] + written, mask: [false, false] + written.map { _ in true }, logProbabilities: nil)
      }
      let groups = (0..<5).map { (number: Int32) in
        RecordedGroup(
          question: "q\(number)",
          trajectories: [
            RecordedTrajectory(sequences: [sequence([70, 71 + number, 256])], reward: 1),
            RecordedTrajectory(sequences: [sequence([72]), sequence([73, 74, number, 256])], reward: 0),
            RecordedTrajectory(sequences: [sequence([74, 75])], reward: number < 2 ? nil : 0.25),
          ],
          origin: "recorded.jsonl:\(number + 1)")
      }
      let assembly = try run.assembly(communicator)
      return try Trainer(
        configuration: run.configuration, learner: assembly.learner(assembly.masters()), recorded: groups,
        tokenizer: assembly.tokenizer)
    }
    let ranks = try Ranks.together()
    let together = try Trace(trainer(ranks), steps: 6)
    let alone = try Trace(trainer(Ranks.alone()), steps: 6)
    try expectSame(together, alone, on: ranks)
    #expect(together.weights == alone.weights)
  }

  @Test("A step on complete groups that only rank 0 has equals the step on one rank")
  func oneOwner() throws {
    let run = try TinyRun {
      $0.rl.batchSize = 2
      $0.parallel.reproducible = true
    }
    let (together, alone) = (try run.trainer(Ranks.together()), try run.trainer(Ranks.alone()))
    let groups = try alone.sampleGroups(step: 0).groups
    let report = try together.trainStep(together.communicator.rank == 0 ? groups : [])
    #expect(report.metrics.bits() == (try alone.trainStep(groups).metrics.bits()))
    #expect(try Fingerprint.of(together.learner) == Fingerprint.of(alone.learner))
  }
}

/// 1 or 0 by the sum of a completion's bytes; no score for some. It also returns a metric.
private struct Uneven: Reward {
  let name = "uneven"

  func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    completion.utf8.reduce(0) { $0 + Int($1) }.isMultiple(of: 3) ? 1 : 0
  }

  func outcomes(_ items: [RewardItem]) -> [RewardOutcome] {
    items.map { item in
      if item.id.isMultiple(of: 5) { return .unscored(.timeout) }
      let value = score(
        prompt: item.prompt, completion: item.completion, completionTokens: item.completionTokens,
        finished: item.finished)
      return .scored(value, metrics: ["bytes": 0.1 * Double(item.completion.utf8.count)])
    }
  }
}
