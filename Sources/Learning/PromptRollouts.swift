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
    sampler = Sampler(model: model, options: options, endTokens: tokenizer.completionEnds, seed: rl.seed)
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
            completion: tokenizer.decode(trajectory.generatedTokens.filter { !tokenizer.completionEnds.contains($0) }),
            completionTokens: trajectory.logProbabilities.count, finished: trajectory.finished))
      }
    }
    let demonstrations = try demonstrations(numbers, drawn, policy, context)
    items += demonstrations.compactMap { $0?.item }
    let start = ContinuousClock.now
    let outcomes = try FlightRecorder.phase("rewards") { try rewards.outcomes(items) }
    var batch = RolloutBatch()
    batch.rewardSeconds = (ContinuousClock.now - start) / .seconds(1)
    var next = 0
    var nextDemonstration = numbers.count * size
    for (index, trajectories) in sampled.enumerated() {
      let members = trajectories.map { trajectory in
        defer { next += 1 }
        return RolloutBatch.Scored(
          trajectory: trajectory, completion: items[next].completion, outcome: outcomes[next],
          shaping: overlong?.penalty(tokens: trajectory.logProbabilities.count) ?? 0,
          tokens: next < Self.shown ? tokens(of: trajectory) : [])
      }
      let demonstration = demonstrations[index].map { demonstration in
        defer { nextDemonstration += 1 }
        return (demonstration.trajectory, outcomes[nextDemonstration])
      }
      batch.add(number: UInt64(numbers[index]), drawn[index], members, demonstration: demonstration, rules)
    }
    return batch
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
      let answer = tokenizer.encode(prompt.answer) + [tokenizer.answerEnd]
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
