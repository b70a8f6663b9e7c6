import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

@Suite struct TrainerFailureTests {
  /// A reward whose score is NaN for the second prompt of a step.
  struct UndefinedReward: Reward {
    let name = "undefined"

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
      prompt.id == 1 ? .nan : 0
    }
  }

  /// Makes one master infinite.
  private static func damage(_ name: String) -> (ParameterStore) -> Void {
    { store in store.values(store.table.require(name))[3] = .infinity }
  }

  @Test("A NaN reward gives an error with its prompt")
  func reward() throws {
    var run = try TinyRun()
    run.rewards = try WeightedRewards([WeightedRewards.Term(UndefinedReward())])
    let trainer = try run.trainer(Ranks.alone())
    let error = #expect(throws: RewardError.self) { try trainer.step() }
    #expect(error?.description.hasPrefix("reward undefined: a score of nan for prompt 1 (") == true, "\(error as Any)")
    #expect(error?.description.contains("completion") == true)
  }

  @Test(
    "A non-finite loss gives an error with step, trajectory and tensor and leaves the weights unchanged",
    arguments: [false, true])
  func loss(reproducible: Bool) throws {
    let trainer = try TinyRun { $0.parallel.reproducible = reproducible }.trainer(
      Ranks.alone(), prepare: Self.damage("value_head.weight"))
    let before = Fingerprint.of(trainer.learner.masters)
    let error = #expect(throws: TrainingError.self) { try trainer.step() }
    let text = error?.description ?? ""
    #expect(text.hasPrefix("step 1: the loss of trajectory 0 is not finite; the gradient of value_head."), "\(text)")
    #expect(text.contains("--skip-nonfinite"))
    #expect(error?.kind == .failure && error?.isAgreed == true)
    #expect(Fingerprint.of(trainer.learner.masters) == before)
  }

  @Test("A non-finite gradient gives an error with the tensor", arguments: [false, true])
  func gradient(reproducible: Bool) throws {
    // The squared errors are finite; only the sum of their gradients overflows.
    let trainer = try TinyRun {
      $0.parallel.reproducible = reproducible
      $0.rl.objective.valueCoef = 1e300
    }
    .trainer(Ranks.alone())
    let error = #expect(throws: TrainingError.self) { try trainer.step() }
    #expect(error?.description.contains("the gradient of value_head.") == true, "\(error as Any)")
    #expect(error?.description.contains("trajectory") == false)
  }

  @Test("A learning rate of 1e30 ends the run at a step")
  func divergence() throws {
    let trainer = try TinyRun { $0.rl.learningRate = 1e30 }.trainer(Ranks.alone())
    let error = #expect(throws: TrainingError.self) { for _ in 0..<10 { _ = try trainer.step() } }
    #expect(error?.description.hasPrefix("step ") == true, "\(error as Any)")
    #expect(trainer.stepCount >= 1)
  }

  @Test("Up to n updates are skipped and counted; the next one stops the run")
  func skipping() throws {
    let trainer = try TinyRun { $0.debug.skipNonfinite = 2 }.trainer(Ranks.alone())
    let before = Fingerprint.of(trainer.learner.masters)
    for count in 1...2 {
      var groups = try trainer.sampleGroups(step: trainer.stepCount).groups
      groups[1].trajectories[0] = groups[1].trajectories[0].damaged
      let report = try trainer.trainStep(groups)
      #expect(report.metrics["skipped_updates"] == Double(count))
      #expect(report.warning?.contains("update skipped (\(count) of 2)") == true)
      #expect(Fingerprint.of(trainer.learner.masters) == before)
    }
    #expect(trainer.stepCount == 2)
    // A finite step between skipped updates still learns.
    #expect(try trainer.step().warning == nil)
    #expect(Fingerprint.of(trainer.learner.masters) != before)
    var groups = try trainer.sampleGroups(step: trainer.stepCount).groups
    groups[1].trajectories[0] = groups[1].trajectories[0].damaged
    #expect(throws: TrainingError.self) { try trainer.trainStep(groups) }
  }

  @Test("Pre-training stops at a non-finite value, or skips the update if configured")
  func pretraining() throws {
    let stopped = try TinyRun().pretrainer(Ranks.alone(), prepare: Self.damage("final_norm.weight"))
    let error = #expect(throws: TrainingError.self) { try stopped.step() }
    #expect(error?.description.hasPrefix("step 1: ") == true)
    #expect(error?.description.contains("the gradient of ") == true, "\(error as Any)")
    let skipping = try TinyRun { $0.debug.skipNonfinite = 1 }.pretrainer(
      Ranks.alone(), prepare: Self.damage("final_norm.weight"))
    let before = Fingerprint.of(skipping.learner.masters)
    let report = try skipping.step()
    #expect(report.metrics["skipped_updates"] == 1)
    #expect(report.warning?.contains("update skipped (1 of 1)") == true, "\(report.warning ?? "no warning")")
    #expect(Fingerprint.of(skipping.learner.masters) == before)
    #expect(throws: TrainingError.self) { try skipping.step() }
  }

  @Test("A prompt that is too long gives an error with the number of the prompt")
  func prompt() throws {
    let trainer = try TinyRun { $0.data.maxPromptLen = 3 }.trainer(Ranks.alone())
    let error = #expect(throws: TrainingError.self) { try trainer.step() }
    #expect(error?.kind == .data)
    #expect(error?.description.contains("the prompt has 6 tokens, at most 3 fit") == true, "\(error as Any)")
  }
}
