import Configuration
import Models
import MPI
import Parameters
import Rollouts
import Telemetry
import Tensors

/// Samples the groups of prompts from π_old and scores them.
struct PromptRollouts: RolloutSource {
  let configuration: RunConfiguration
  let prompts: any PromptSource
  let tokenizer: any Tokenizer
  let rewards: WeightedRewards
  private let sampler: Sampler
  private let overlong: OverlongReward?
  private let rules: RolloutBatch.Rules
  /// Number of trajectories of a batch that reports show token by token.
  private static let shown = 8

  var rewardNames: [String] { rewards.names }
  var hasExactLogProbabilities: Bool { true }

  init(
    configuration: RunConfiguration, model: QuillanModel, prompts: any PromptSource, tokenizer: any Tokenizer,
    rewards: WeightedRewards
  ) throws {
    let rl = configuration.rl
    self.configuration = configuration
    self.prompts = prompts
    self.tokenizer = tokenizer
    self.rewards = rewards
    var options = SamplingOptions()
    options.temperature = Float(configuration.objective.temperature)
    options.topK = rl.topK
    options.topP = rl.topP
    options.maxNewTokens = configuration.objective.maxTrajectoryLen
    sampler = Sampler(model: model, options: options, endToken: tokenizer.endToken, seed: rl.seed)
    overlong =
      rl.overlongCache > 0
      ? try OverlongReward(maximumLength: options.maxNewTokens, cache: rl.overlongCache) : nil
    rules = RolloutBatch.Rules(
      rewardNames: rewards.names, dropsUniform: rl.dynamicSampling, filtersOverlong: rl.overlongFilter)
  }

  func groups(_ numbers: [Int], policy: PackedModel, _ context: Context) throws -> RolloutBatch {
    let size = configuration.rl.numTrajectories
    let drawn = try numbers.map { try prompts.prompt(index: $0, split: .train) }
    let requests = try zip(numbers, drawn).map { number, prompt in
      Sampler.Request(
        prompt: try PromptTokens.encode(prompt, tokenizer, configuration),
        trajectories: (0..<size).map { UInt64(number * size + $0) })
    }
    let sampled = try FlightRecorder.phase("sampling group", numbers.first) {
      try sampler.sample(requests, policy, context)
    }
    var items: [RewardItem] = []
    for (prompt, trajectories) in zip(drawn, sampled) {
      for trajectory in trajectories {
        items.append(
          RewardItem(
            id: trajectory.id, prompt: prompt,
            completion: tokenizer.decode(trajectory.generatedTokens.filter { $0 != tokenizer.endToken }),
            completionTokens: trajectory.logProbabilities.count, finished: trajectory.finished))
      }
    }
    let start = ContinuousClock.now
    let outcomes = try FlightRecorder.phase("rewards") { try rewards.outcomes(items) }
    var batch = RolloutBatch()
    batch.rewardSeconds = (ContinuousClock.now - start) / .seconds(1)
    var next = 0
    for (index, trajectories) in sampled.enumerated() {
      let members = trajectories.map { trajectory in
        defer { next += 1 }
        return RolloutBatch.Scored(
          trajectory: trajectory, completion: items[next].completion, outcome: outcomes[next],
          shaping: overlong?.penalty(tokens: trajectory.logProbabilities.count) ?? 0,
          tokens: next < Self.shown ? tokens(of: trajectory) : [])
      }
      batch.add(number: UInt64(numbers[index]), drawn[index], members, rules)
    }
    return batch
  }

  private func tokens(of trajectory: Trajectory) -> [CompletionSample.Token] {
    zip(trajectory.generatedTokens, trajectory.logProbabilities).map { token, logProbability in
      CompletionSample.Token(text: tokenizer.decode([token]), logProbability: Double(logProbability))
    }
  }
}
