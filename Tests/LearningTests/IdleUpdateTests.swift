import MPI
import Objectives
import Optimizers
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

/// Updates without an advantage to learn from. Also on several ranks: `mpirun -n 2 <test bundle> … --filter
/// IdleUpdateTests`.
@Suite(.serialized) struct IdleUpdateTests {
  /// The same score for every completion.
  private struct Constant: Reward {
    let name = "constant"

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double { 1 }
  }

  private static func run(_ change: (inout RunConfiguration) -> Void = { _ in }) throws -> TinyRun {
    var run = try TinyRun {
      $0.rl.balanceRate = 0.01
      $0.rl.objective.entropyCoef = 0.1
      $0.rl.entropyTarget = 2
      change(&$0)
    }
    run.rewards = try WeightedRewards([WeightedRewards.Term(Constant())])
    return run
  }

  @Test(
    "Equal rewards change neither weights nor moments nor balance biases, whatever other terms the loss has",
    arguments: [
      { _ in }, { $0.rl.objective.klCoef = 1 }, { $0.rl.miniBatches = 2 }, { $0.rl.ppoEpochs = 2 },
      { $0.parallel.reproducible = true }, { $0.optimizer.state = .int8 }, { $0.rl.oldPolicyInterval = 2 },
    ] as [@Sendable (inout RunConfiguration) -> Void])
  func nothingMoves(_ change: @Sendable (inout RunConfiguration) -> Void) throws {
    let trainer = try Self.run(change).trainer(Ranks.together())
    let before = try Fingerprint.of(trainer.learner)
    let coefficient = trainer.state.entropyCoef
    for step in 1...4 {
      let report = try trainer.step()
      #expect(report.metrics["idle_updates"] == Double(step))
      #expect(report.metrics["frac_reward_zero_std"] == 1)
      // The warning comes at updates 1, 2, 4, 8, …
      #expect((report.warning == nil) == (step == 3))
    }
    #expect(try Fingerprint.of(trainer.learner) == before)
    #expect(trainer.learner.updates == 0 && trainer.stepCount == 4)
    #expect(trainer.state.idleUpdates == 4 && trainer.state.entropyCoef == coefficient)
    #expect(trainer.state.updatesSincePublication == 0)
  }

  @Test("The log line names the idle step, and idle steps count for the learning rate")
  func said() throws {
    let trainer = try Self.run().trainer(Ranks.together())
    let first = try trainer.step()
    #expect(
      first.warning == "step 1: the rewards of each group are equal, so the update changes nothing",
      "\(first.warning ?? "")")
    let rl = trainer.configuration.rl
    let schedule = LearningRateSchedule(
      peak: rl.learningRate, warmupSteps: rl.warmupSteps, totalSteps: rl.numEpochs)
    #expect(try trainer.step().learningRate == schedule.learningRate(at: 1))
  }

  @Test("One non-uniform group on any rank changes the weights of all ranks")
  func oneTeaches() throws {
    let trainer = try Self.run().trainer(Ranks.together())
    let before = try Fingerprint.of(trainer.learner)
    var groups = try trainer.sampleGroups(step: 0).groups
    let last = UInt64(trainer.configuration.rl.batchSize - 1)
    for index in groups.indices where groups[index].id == last { groups[index].rewards[0] = 0 }
    let report = try trainer.trainStep(groups)
    #expect(report.metrics["idle_updates"] == nil && report.warning == nil)
    #expect(trainer.learner.updates == 1)
    #expect(try Fingerprint.of(trainer.learner) != before)
  }

  @Test("Rewards that differ only on completions without trained tokens change nothing")
  func masked() throws {
    let trainer = try Self.run().trainer(Ranks.alone())
    let before = Fingerprint.of(trainer.learner.masters)
    var groups = try trainer.sampleGroups(step: 0).groups
    for index in groups.indices {
      groups[index].rewards = [2, 1, 1, 1]
      groups[index].trajectories = groups[index].trajectories.map(\.withoutLoss)
    }
    let report = try trainer.trainStep(groups)
    #expect(report.metrics["idle_updates"] == 1)
    #expect(report.warning == "step 1: no token to train on has an advantage, so the update changes nothing")
    #expect(Fingerprint.of(trainer.learner.masters) == before)
  }

  @Test("Recorded trajectories with equal rewards change nothing")
  func recorded() throws {
    let run = try TinyRun { $0.rl.batchSize = 2 }
    let assembly = try run.assembly(Ranks.alone())
    let groups = (0..<3).map { (number: Int32) in
      RecordedGroup(
        question: "q",
        trajectories: (0..<2).map { (index: Int32) in
          RecordedTrajectory(
            sequences: [
              RecordedSequence(
                tokens: [65, 66 + number, 70 + index], mask: [false, false, true], logProbabilities: nil)
            ],
            reward: 0.5)
        }, origin: "recorded.jsonl:\(number + 1)")
    }
    let trainer = try Trainer(
      configuration: run.configuration, learner: assembly.learner(assembly.masters()), recorded: groups,
      tokenizer: assembly.tokenizer)
    let before = try Fingerprint.of(trainer.learner)
    for step in 1...2 { #expect(try trainer.step().metrics["idle_updates"] == Double(step)) }
    #expect(try Fingerprint.of(trainer.learner) == before)
  }

  @Test("An update after idle updates equals that of a run without idle updates")
  func afterwards() throws {
    let (idle, plain) = (try Self.run().trainer(Ranks.alone()), try Self.run().trainer(Ranks.alone()))
    for _ in 0..<3 { _ = try idle.step() }
    // The trainers differ only in the idle updates; the learning rate depends on the number of steps.
    var state = plain.state
    state.steps = 3
    state.nextGroup = idle.state.nextGroup
    plain.state = state
    for trainer in [idle, plain] {
      var groups = try trainer.sampleGroups(step: 9).groups
      for index in groups.indices { groups[index].rewards[1] = 0 }
      _ = try trainer.trainStep(groups)
    }
    #expect(try Fingerprint.of(idle.learner) == Fingerprint.of(plain.learner))
  }
}
