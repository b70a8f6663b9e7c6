import Foundation
import MPI
import Rollouts
import Testing
import Training
import TrainingSupport

@Suite struct RunFiguresTests {
  /// A step in which the first `filtered` groups have no tokens in the loss.
  private func step(filtered: Int, of run: TinyRun) throws -> (report: StepReport, trainer: Trainer) {
    let trainer = try run.trainer(Ranks.alone())
    var groups = try trainer.sampleGroups(step: 0).groups
    for index in 0..<filtered { groups[index].trajectories = groups[index].trajectories.map(\.withoutLoss) }
    return (try trainer.trainStep(groups), trainer)
  }

  @Test("Entropy is averaged over groups with tokens in the loss, so filtered groups do not lower it")
  func entropy() throws {
    let run = try TinyRun()
    let all = try #require(try step(filtered: 0, of: run).report.metrics["entropy"])
    for filtered in 1...4 {
      let some = try #require(try step(filtered: filtered, of: run).report.metrics["entropy"])
      // With initial weights, every token has nearly the same entropy.
      #expect(abs(some - all) < 0.1 * all, "\(some) instead of about \(all)")
    }
  }

  @Test("Without tokens in the loss, token metrics are missing and the entropy coefficient is unchanged")
  func noTokens() throws {
    var run = try TinyRun {
      $0.rl.entropyTarget = 100
      $0.rl.entropyDelta = 0.04
    }
    let (report, trainer) = try step(filtered: 5, of: run)
    for name in ["entropy", "kl", "ratio/mean", "clip_ratio/low"] { #expect(report.metrics[name] == nil, "\(name)") }
    #expect(report.metrics["entropy_coef"] == 0.01)
    #expect(trainer.state.entropyCoef == 0.01)
    run.configuration.rl.entropyTarget = 0
    #expect(try step(filtered: 0, of: run).report.metrics["ratio/mean"] == 1)
  }

  @Test("Completion lengths are in the line of the step that sampled them")
  func lengths() throws {
    let reports = try TinyRun {
      $0.rl.ppoEpochs = 2
      $0.rl.overlongFilter = true
    }.trained(steps: 4).reports
    let lengths = reports.map { $0.metrics["completions/mean_length"] }
    #expect(lengths[1] == nil && lengths[3] == nil)
    for length in [lengths[0], lengths[2]] { #expect((length ?? 0) > 1) }
    #expect(reports.allSatisfy { $0.metrics["reward"] != nil })
  }

  @Test("An evaluation without a score has no reward")
  func unscored() throws {
    struct Never: Reward {
      let name = "never"
      func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double { 0 }
      func outcomes(_ items: [RewardItem]) -> [RewardOutcome] { items.map { _ in .unscored(.timeout) } }
    }
    let run = try TinyRun()
    let assembly = try run.assembly(Ranks.alone())
    let weights = assembly.model.makePackedModel()
    assembly.model.pack(try assembly.masters(), into: weights, assembly.context)
    let evaluator = Evaluator(
      configuration: run.configuration, model: assembly.model, tokenizer: assembly.tokenizer,
      communicator: assembly.communicator, context: assembly.context)
    let result = try evaluator.task(
      assembly.prompts(), WeightedRewards([WeightedRewards.Term(Never())]), count: 3, samples: 0, weights)
    #expect(result.reward == nil && result.unscored == 3)
  }

  // MARK: The best evaluation

  private func recorder(
    _ configuration: RunConfiguration, resuming directory: RunDirectory? = nil, after step: Int? = nil
  ) throws -> RunRecorder {
    let start = RunSession.Start(phase: "train", ranks: 1, threads: 1, parameters: 1, done: step ?? 0, total: 9)
    return try RunRecorder(
      configuration, name: "run", title: "train", total: 9, session: start, panels: [], resuming: directory, after: step
    )
  }

  private func measures(_ rewards: [RewardConfiguration], _ evaluations: [[String: Double]]) throws -> [String?] {
    let folder = try SharedFolder(Ranks.alone())
    var configuration = try TinyRun().configuration
    configuration.data.rewards = rewards
    configuration.logging.directory = folder.path
    let recorder = try self.recorder(configuration)
    return try evaluations.enumerated().map { step, values in
      let measure = recorder.measureOfBest(values)
      try recorder.record(step: step, evaluation: values, bestBy: measure)
      return measure
    }
  }

  private static func reward(_ name: RewardConfiguration.Name) -> RewardConfiguration {
    var reward = RewardConfiguration()
    reward.name = name
    return reward
  }

  private static func values(_ match: Double, _ reward: Double?) -> [String: Double] {
    var values = ["eval/exact_match": match]
    values["eval/reward"] = reward
    return values
  }

  @Test("The best evaluation is by reward if no reward compares with the exact answer")
  func bestByReward() throws {
    let evaluations = [
      Self.values(0, 0.1), Self.values(0, 0.2), Self.values(0.5, 0.15), Self.values(0, nil), Self.values(0, 0.3),
    ]
    for name in [RewardConfiguration.Name.numericMatch, .length, .format] {
      #expect(
        try measures([Self.reward(name)], evaluations) == ["eval/reward", "eval/reward", nil, nil, "eval/reward"])
    }
  }

  @Test(
    "The best evaluation is by exact match and then reward if a reward compares with the exact answer; on text by bits per byte"
  )
  func bestByExactMatch() throws {
    let evaluations = [
      Self.values(0, 0.1), Self.values(0, 0.2), Self.values(0.5, 0.15), Self.values(0.4, 0.9), Self.values(0.5, 0.15),
      Self.values(0.5, 0.2),
    ]
    let match = "eval/exact_match"
    for name in [RewardConfiguration.Name.exactMatch, .partialCredit] {
      #expect(
        try measures([Self.reward(.length), Self.reward(name)], evaluations) == [match, match, match, nil, nil, match])
    }
    let bits = [3.0, 2.5, 2.6, 2.5].map { ["eval/bits_per_byte": $0, "eval/cross_entropy": 1] }
    #expect(try measures([Self.reward(.length)], bits) == ["eval/bits_per_byte", "eval/bits_per_byte", nil, nil])
  }

  @Test("A resumed run compares with earlier evaluations")
  func bestAfterResume() throws {
    let folder = try SharedFolder(Ranks.alone())
    var configuration = try TinyRun().configuration
    configuration.data.rewards = [Self.reward(.length)]
    configuration.logging.directory = folder.path
    var recorder: RunRecorder? = try self.recorder(configuration)
    try recorder?.record(step: 0, evaluation: Self.values(0, 0.4))
    try recorder?.record(step: 2, evaluation: Self.values(0, 0.6))
    let directory = try #require(recorder?.directory)
    recorder = nil
    let resumed = try self.recorder(configuration, resuming: directory, after: 2)
    #expect(resumed.measureOfBest(Self.values(0, 0.5)) == nil)
    #expect(resumed.measureOfBest(Self.values(0, 0.7)) == "eval/reward")
  }

  // MARK: Alarms after a resume

  private static func loads(_ step: Int) -> RoutingSnapshot {
    RoutingSnapshot(
      miniMoEs: [[4, 4, 4, 4]], experts: [[5, step < 12 ? 5 : 0], [5, 5]],
      microAgents: [[step.isMultiple(of: 9) ? 1 : 0, 2, 1]])
  }

  private static func figures(_ step: Int) -> [String: Double] {
    ["entropy": step < 25 ? 1.2 : 0.01, "grad_norm": 0.5, "completions/mean_length": 10]
  }

  @Test("Alarms of a resumed run equal those of the uninterrupted run", arguments: [1, 7, 20, 33, 41])
  func alarms(stop: Int) throws {
    var uninterrupted = HealthMonitor(patience: 2)
    var expected: [HealthMonitor.Alarm] = []
    for step in 1...60 { expected += uninterrupted.observe(step: step, Self.figures(step), Self.loads(step)) }
    #expect(expected.map(\.name).contains("experts_dead") && expected.map(\.name).contains("entropy_collapse"))
    var part = HealthMonitor(patience: 2)
    var found: [HealthMonitor.Alarm] = []
    for step in 1...stop { found += part.observe(step: step, Self.figures(step), Self.loads(step)) }
    var resumed = try JSONDecoder().decode(HealthMonitor.self, from: JSONEncoder().encode(part))
    for step in stop + 1...60 { found += resumed.observe(step: step, Self.figures(step), Self.loads(step)) }
    #expect(found == expected && resumed == uninterrupted)
  }

  @Test("Without saved state, windows start again, and rarely used targets are not dead")
  func windows() {
    var monitor = HealthMonitor(patience: 2)
    for step in 1...30 { _ = monitor.observe(step: step, Self.figures(1)) }
    for step in 31...60 { #expect(monitor.observe(step: step, Self.figures(1), Self.loads(1 + step % 9)).isEmpty) }
  }

  // MARK: Updates that make weights infinite

  @Test(
    "An update that makes weights infinite ends the run, and only earlier checkpoints remain",
    arguments: [RunPhase.train, .pretrain])
  func infiniteWeights(phase: RunPhase) throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    func run(_ steps: Int, _ rate: Double, _ resume: ResumeChoice?) throws {
      try TinyRun {
        $0.rl.numEpochs = steps
        $0.rl.learningRate = rate
        $0.rl.warmupSteps = 0
        $0.pretrain.steps = steps
        $0.pretrain.learningRate = rate
        $0.evaluation.count = 1
        $0.checkpoint.every = 1
        $0.logging.directory = folder.path
      }.execute(ranks, name: "run", phase: phase, resume: resume)
    }
    try run(1, 1e-3, nil)
    let weights = folder.bytes("run/weights.safetensors")
    let error = #expect(throws: TrainingError.self) { try run(2, 1e39, .auto) }
    #expect(error?.description.hasPrefix("step 2: the update made ") == true, "\(error as Any)")
    #expect(error?.isAgreed == true && error?.kind == .failure)
    try ranks.barrier()
    #expect(folder.bytes("run/weights.safetensors") == weights)
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/run/checkpoints/step-000002"))
    try run(2, 1e-3, .auto)
  }

  @Test("An infinite balance bias ends the run in the same way")
  func infiniteBias() throws {
    let trainer = try TinyRun { $0.rl.balanceRate = 1e300 }.trainer(Ranks.alone())
    let error = #expect(throws: TrainingError.self) { try trainer.step() }
    #expect(error?.description.contains("router.bias not finite") == true, "\(error as Any)")
  }
}
