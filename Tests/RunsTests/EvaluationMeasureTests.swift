import MPI
import Testing
import Training
import TrainingSupport

/// Evaluation by the task's own measure.
@Suite(.serialized) struct EvaluationMeasureTests {
  private static func reward(
    _ name: RewardConfiguration.Name, weight: Double = 1, pattern: String? = nil
  ) -> RewardConfiguration {
    var reward = RewardConfiguration()
    (reward.name, reward.weight, reward.pattern) = (name, weight, pattern)
    return reward
  }

  private func run(
    _ folder: SharedFolder, _ rewards: [RewardConfiguration], _ change: (inout RunConfiguration) -> Void = { _ in }
  ) throws -> TinyRun {
    try TinyRun {
      $0.rl.numEpochs = 6
      $0.rl.warmupSteps = 0
      $0.evaluation.every = 1
      $0.evaluation.count = 12
      $0.evaluation.samples = 4
      $0.data.rewards = rewards
      $0.logging.directory = folder.path
      change(&$0)
    }
  }

  @Test("Pass rate, mean@n and pass@k follow the main reward, while exact match stays what it is")
  func passRate() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let outcome = try run(
      folder,
      [
        Self.reward(.exactMatch, weight: 0.1), Self.reward(.format, pattern: "^[\\x00-\\x7f]*$"),
      ]
    ) { $0.rl.numEpochs = 1 }.execute(ranks, name: "run")
    let values = outcome.before
    let rate = try #require(values["eval/rewards/format"])
    #expect(values["eval/pass_rate"] == rate && values["eval/exact_match"] == 0)
    #expect(values["eval/rewards/exact_match"] == 0 && values["eval/reward"] == rate)
    let (mean, one, four) = try (
      #require(values["eval/mean@4"]), #require(values["eval/pass@1"]), #require(values["eval/pass@4"])
    )
    #expect(abs(mean - one) < 1e-12 && four >= mean && mean > 0)
  }

  @Test(
    "With exact rewards, all measures are those of exact match",
    arguments: [RewardConfiguration.Name.exactMatch, .partialCredit])
  func exact(name: RewardConfiguration.Name) throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let run = try run(folder, [Self.reward(name)]) {
      $0.pretrain.learningRate = 1e-2
      $0.pretrain.steps = 60
      $0.pretrain.evalEvery = 0
      $0.data.task?.digits = 1
      $0.data.heldOut = 0.3
    }
    let values = try run.execute(ranks, name: "run", phase: .pretrain).after
    #expect(values["eval/pass_rate"] == values["eval/exact_match"] && values["eval/exact_match"] != nil)
  }

  @Test("Answers in the form of GSM8K are right by their number, although no completion equals them")
  func worked() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    func write(_ name: String, _ answer: String, _ numbers: Range<Int>) throws -> String {
      let lines = numbers.map { "{\"prompt\": \"\($0)=\", \"answer\": \"\(answer)\"}\n" }.joined()
      try lines.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
      return "\(folder.path)/\(name)"
    }
    let (train, test) = (try write("train.jsonl", "1", 0..<30), try write("test.jsonl", "so\\n#### 1.0", 30..<50))
    let run = try run(folder, [Self.reward(.exactMatch)]) {
      $0.data.task = nil
      $0.data.prompts = train
      $0.data.heldOut = 0
      $0.pretrain.learningRate = 1e-2
      $0.pretrain.steps = 60
      $0.pretrain.evalEvery = 0
      var source = DataSourceConfiguration()
      (source.name, source.prompts, source.rewards) = ("test", test, [Self.reward(.numericMatch)])
      $0.evaluation.sources = [source]
    }
    let values = try run.execute(ranks, name: "run", phase: .pretrain).after
    let rate = try #require(values["eval/test/pass_rate"])
    #expect(rate > 0.2 && values["eval/test/exact_match"] == 0 && values["eval/pass_rate"] == rate)
    #expect(values["eval/test/reward"] == rate && (values["eval/pass@4"] ?? 0) >= (values["eval/mean@4"] ?? 1))
  }

  @Test("The threshold decides what is right")
  func threshold() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let rewards = [Self.reward(.partialCredit)]
    func rate(_ threshold: Double) throws -> Double? {
      try run(folder, rewards) {
        $0.rl.numEpochs = 1
        $0.evaluation.threshold = threshold
      }.execute(ranks, name: "run").before["eval/pass_rate"]
    }
    #expect(try rate(0) == 1)
    #expect(try rate(1) == 0)
  }

  @Test(
    "A run ends at the first evaluation after warm-up that reaches rl.stop_at, also if it is resumed",
    arguments: [0, 3])
  func stopAt(warmup: Int) throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let run = try run(folder, [Self.reward(.format, pattern: "^")]) {
      $0.rl.warmupSteps = warmup
      $0.rl.stopAt = 0.5
      $0.evaluation.metric = "pass@2"
      $0.checkpoint.every = 1
    }
    let steps = try run.execute(ranks, name: "run").steps
    #expect(steps == max(1, warmup))
    #expect(try run.execute(ranks, name: "run", resume: .auto).steps == steps)
    var other = run
    other.configuration.rl.stopAt = 1.5
    #expect(try other.execute(ranks, name: "run", resume: .auto).steps == 6)
  }

  @Test("The best evaluation follows evaluation.metric, and equal values the reward")
  func best() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    var configuration = try run(folder, [Self.reward(.exactMatch)]) { $0.evaluation.metric = "pass@4" }.configuration
    var best = RunRecorderProbe(configuration, folder)
    try best.expect(["eval/pass@4": 0.5, "eval/reward": 0.1, "eval/exact_match": 0.9], "eval/pass@4")
    try best.expect(["eval/pass@4": 0.4, "eval/reward": 0.9, "eval/exact_match": 1], nil)
    try best.expect(["eval/pass@4": 0.5, "eval/reward": 0.2, "eval/exact_match": 0], "eval/pass@4")
    configuration.evaluation.metric = nil
    configuration.data.rewards = [Self.reward(.numericMatch)]
    best = RunRecorderProbe(configuration, folder)
    try best.expect(["eval/pass_rate": 0, "eval/reward": 0.1, "eval/exact_match": 0.9], "eval/pass_rate")
    try best.expect(["eval/pass_rate": 0.1, "eval/reward": 0.1, "eval/exact_match": 0], "eval/pass_rate")
  }
}

/// A recorder of evaluations only.
private struct RunRecorderProbe {
  private let recorder: RunRecorder?
  private let steps = Steps()

  private final class Steps { var last = 0 }

  init(_ configuration: RunConfiguration, _ folder: SharedFolder) {
    recorder = try? RunRecorder(
      configuration, name: "probe", title: "train", total: 9,
      session: RunSession.Start(phase: "train", ranks: 1, threads: 1, parameters: 1, done: 0, total: 9), panels: [])
  }

  func expect(_ values: [String: Double], _ measure: String?) throws {
    let recorder = try #require(recorder)
    #expect(recorder.measureOfBest(values) == measure)
    try recorder.record(step: steps.last, evaluation: values)
    steps.last += 1
  }
}
