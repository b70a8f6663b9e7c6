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
  private let model: QuillanModel
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
    self.model = model
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
    // A group's rewards are asked for when its last trajectory ends, while others are still sampled.
    let scoring = BackgroundScoring(rewards)
    defer { scoring.abandon() }
    var items = drawn.map { _ in [RewardItem]() }
    var places = drawn.map { _ in 0..<0 }
    let sampled = try FlightRecorder.phase("sampling group", numbers.first) {
      try sampler.sample(requests, policy, context, observer: { _ in !scoring.hasFailed }) { index, trajectories in
        items[index] = trajectories.map { item(of: $0, drawn[index]) }
        places[index] = scoring.add(items[index])
      }
    }
    let demonstrations = try demonstrations(numbers, drawn, policy, context)
    let demonstrationPlaces = demonstrations.map { scoring.add($0.map { [$0.item] } ?? []) }
    let scored = try FlightRecorder.phase("rewards") { () throws(RewardError) in try scoring.finish() }
    var batch = RolloutBatch()
    batch.rewardSeconds = scored.seconds
    batch.rewardWaitSeconds = scored.waitSeconds
    var shown = 0
    for (index, trajectories) in sampled.enumerated() {
      let members = zip(zip(trajectories, items[index]), scored.outcomes[places[index]]).map { member, outcome in
        defer { shown += 1 }
        let (trajectory, item) = member
        return RolloutBatch.Scored(
          trajectory: trajectory, completion: item.completion, outcome: outcome,
          shaping: overlong?.penalty(tokens: trajectory.logProbabilities.count) ?? 0,
          tokens: shown < Self.shown ? tokens(of: trajectory) : [])
      }
      let demonstration = demonstrations[index].map { demonstration in
        (demonstration.trajectory, scored.outcomes[demonstrationPlaces[index].lowerBound])
      }
      batch.add(number: UInt64(numbers[index]), drawn[index], members, demonstration: demonstration, rules)
    }
    return batch
  }

  private func item(of trajectory: Trajectory, _ prompt: Prompt) -> RewardItem {
    RewardItem(
      id: trajectory.id, prompt: prompt,
      completion: tokenizer.decode(trajectory.generatedTokens.filter { $0 != tokenizer.endToken }),
      completionTokens: trajectory.logProbabilities.count, finished: trajectory.finished)
  }

  /// The answer of a prompt as a trajectory that π_old could have sampled.
  private struct Demonstration {
    let trajectory: Trajectory
    let item: RewardItem
  }

  /// The demonstration of each prompt; nil without an answer, or if the answer is longer than a completion can be.
  /// π_old samples the latents and gives the log-probabilities, by the functions of training, so the first ratio is 1.
  private func demonstrations(
    _ numbers: [Int], _ prompts: [Prompt], _ policy: PackedModel, _ context: Context
  ) throws -> [Demonstration?] {
    guard configuration.rl.demonstrations else { return prompts.map { _ in nil } }
    let sequences = try zip(numbers, prompts).map { number, prompt -> TrainingSequence? in
      guard !prompt.answer.isEmpty else { return nil }
      let question = try PromptTokens.encode(prompt, tokenizer, configuration)
      let answer = tokenizer.encode(prompt.answer) + [tokenizer.endToken]
      guard answer.count <= configuration.objective.maxTrajectoryLen else { return nil }
      return TrainingSequence(
        id: Trajectory.firstDemonstration + UInt64(number), tokens: question + answer,
        positions: Array(question.count..<question.count + answer.count))
    }
    let found = sequences.compactMap { $0 }
    var trajectories: [Trajectory] = []
    for part in MicroBatches.cut(found.map(\.tokens.count), tokens: MicroBatches.tokens(recomputed: false)) {
      trajectories += self.trajectories(Array(found[part]), policy, context)
    }
    var next = 0
    return zip(prompts, sequences).map { prompt, sequence in
      guard sequence != nil else { return nil }
      defer { next += 1 }
      let trajectory = trajectories[next]
      return Demonstration(
        trajectory: trajectory,
        item: RewardItem(
          id: trajectory.id, prompt: prompt, completion: prompt.answer,
          completionTokens: trajectory.logProbabilities.count, finished: true))
    }
  }

  private func trajectories(_ sequences: [TrainingSequence], _ policy: PackedModel, _ context: Context) -> [Trajectory]
  {
    let latents = LatentSampling.latents(
      sequences.map(\.tokens), ids: sequences.map(\.id), seed: configuration.rl.seed, model, policy, context)
    let complete = zip(sequences, latents).map { sequence, latents in
      var sequence = sequence
      sequence.latents = latents
      return sequence
    }
    let signals = SequenceSignals.of(
      complete, model, policy, temperature: Float(configuration.objective.temperature), context)
    return zip(complete, signals).map { sequence, signals in
      let first = sequence.positions[0]
      return Trajectory(
        id: sequence.id, promptID: sequence.id, promptLength: first, tokens: sequence.tokens,
        mask: sequence.tokens.indices.map { $0 >= first }, latents: sequence.latents,
        logProbabilities: signals.logProbabilities, finished: true)
    }
  }

  private func tokens(of trajectory: Trajectory) -> [CompletionSample.Token] {
    zip(trajectory.generatedTokens, trajectory.logProbabilities).map { token, logProbability in
      CompletionSample.Token(text: tokenizer.decode([token]), logProbability: Double(logProbability))
    }
  }
}
