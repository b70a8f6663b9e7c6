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
  /// Draws the prompts by difficulty; nil: every prompt once in each epoch.
  let curriculum: PromptCurriculum?
  private let model: QuillanModel
  private let sampler: Sampler
  private let overlong: OverlongReward?
  private let rules: SampledGroup.Rules

  var rewardNames: [String] { rewards.names }
  var hasExactLogProbabilities: Bool { true }

  init(
    configuration: RunConfiguration, model: QuillanModel, prompts: any PromptSource, tokenizer: any Tokenizer,
    rewards: WeightedRewards
  ) throws {
    let rl = configuration.rl
    self.configuration = configuration
    curriculum =
      configuration.data.sampler.flatMap {
        $0.kind == .difficulty ? PromptCurriculum(prompts, seed: rl.seed, minimum: $0.minimum) : nil
      }
    self.prompts = curriculum?.prompts ?? prompts
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
    rules = SampledGroup.Rules(
      parts: rewards.names.count, dropsUniform: rl.dynamicSampling, filtersOverlong: rl.overlongFilter)
  }

  func origin(of number: Int) -> GroupOrigin {
    let source = (prompts as? PromptMixture).map { $0.parts[$0.draw(number).part].name }
    return GroupOrigin(source: source, rewards: rewards.positions(of: source))
  }

  /// A group has `rl.num_trajectories` items and, with `rl.demonstrations`, one for the demonstration. Completions are
  /// expected to be equally long.
  func costs(of number: Int) -> [Int] {
    [Int](repeating: 1, count: configuration.rl.numTrajectories + (configuration.rl.demonstrations ? 1 : 0))
  }

  func group(_ number: Int, _ outcomes: ArraySlice<TrajectoryOutcome>) -> SampledGroup {
    SampledGroup(number: number, digest: outcomes.first?.digest ?? 0, outcomes, rules)
  }

  /// This rank's items of one prompt.
  private struct Work {
    let number: Int
    let prompt: Prompt
    let tokens: [Int32]
    var sampled: [RolloutItem] = []
    var demonstration: RolloutItem?
  }

  func sample(_ items: [RolloutItem], policy: PackedModel, _ context: Context) throws -> RolloutPart {
    let size = configuration.rl.numTrajectories
    var work: [Work] = []
    for item in items {
      if work.last?.number != item.number {
        let prompt = try prompts.prompt(index: item.number, split: .train)
        work.append(
          Work(number: item.number, prompt: prompt, tokens: try PromptTokens.encode(prompt, tokenizer, configuration)))
      }
      if item.index < size {
        work[work.count - 1].sampled.append(item)
      } else {
        work[work.count - 1].demonstration = item
      }
    }
    let sampledWork = work.filter { !$0.sampled.isEmpty }
    let requests = sampledWork.map { work in
      Sampler.Request(
        prompt: work.tokens, trajectories: work.sampled.map { UInt64(work.number * size + $0.index) },
        promptID: UInt64(work.number * size))
    }
    // The rewards of a prompt's completions are asked for when the last of them ends, while others are still sampled.
    let scoring = BackgroundScoring(rewards)
    defer { scoring.abandon() }
    var scored: [Scored?] = sampledWork.map { _ in nil }
    _ = try FlightRecorder.phase("sampling group", items.first?.number) {
      try sampler.sample(requests, policy, context, isCancelled: { scoring.hasFailed }) { index, trajectories in
        let rewardItems = trajectories.map { rewardItem($0, sampledWork[index].prompt) }
        scored[index] = Scored(
          items: sampledWork[index].sampled, trajectories: trajectories, rewardItems: rewardItems,
          places: scoring.add(rewardItems))
      }
    }
    var all = scored.compactMap { $0 }
    for demonstration in try demonstrations(work, policy, context) {
      all.append(
        Scored(
          items: [demonstration.item], trajectories: [demonstration.trajectory],
          rewardItems: [demonstration.rewardItem], places: scoring.add([demonstration.rewardItem])))
    }
    let result = try FlightRecorder.phase("rewards") { () throws(RewardError) in try scoring.finish() }
    var part = RolloutPart()
    part.rewardSeconds = result.seconds
    part.rewardWaitSeconds = result.waitSeconds
    for scored in all {
      for (index, outcome) in result.outcomes[scored.places].enumerated() {
        let item = scored.rewardItems[index]
        add(scored.items[index], item.prompt, scored.trajectories[index], item.completion, outcome, &part)
      }
    }
    part.members.sort { ($0.outcome.number, $0.outcome.index) < ($1.outcome.number, $1.outcome.index) }
    return part
  }

  /// Adds a scored trajectory, and what reports show of it unless it is a demonstration.
  private func add(
    _ item: RolloutItem, _ prompt: Prompt, _ trajectory: Trajectory, _ completion: String,
    _ outcome: WeightedRewards.Outcome, _ part: inout RolloutPart
  ) {
    let shaping =
      trajectory.isDemonstration ? 0 : overlong?.penalty(tokens: trajectory.logProbabilities.count) ?? 0
    let isExcluded = rules.filtersOverlong && !trajectory.finished
    part.members.append(
      RolloutPart.Member(
        trajectory: isExcluded ? trajectory.withoutLoss : trajectory,
        outcome: TrajectoryOutcome(
          item, trajectory, digest: prompt.digest, outcome, shaping: shaping,
          isRight: rewards.isRight(outcome, of: prompt, threshold: configuration.evaluation.threshold))))
    guard !trajectory.isDemonstration else { return }
    var parts: [String: Double] = [:]
    if let score = outcome.score {
      parts = rewards.named(score, of: prompt)
      for (name, value) in score.metrics.sorted(by: { $0.key < $1.key }) {
        part.figures.append(
          RolloutPart.Figure(group: UInt64(item.number), index: item.index, name: name, value: value))
      }
    }
    part.samples.append(
      CompletionSample(
        prompt: prompt.text, completion: completion, answer: prompt.answer,
        reward: outcome.score.map { $0.total + shaping } ?? .nan, rewards: parts,
        tokens: item.isShown ? tokens(of: trajectory) : [], trajectory: trajectory.id))
  }

  /// Trajectories of one prompt, whose scores have been asked for.
  private struct Scored {
    let items: [RolloutItem]
    let trajectories: [Trajectory]
    let rewardItems: [RewardItem]
    /// Where the outcomes are among all of `BackgroundScoring`.
    let places: Range<Int>
  }

  private func rewardItem(_ trajectory: Trajectory, _ prompt: Prompt) -> RewardItem {
    RewardItem(
      id: trajectory.id, prompt: prompt,
      completion: tokenizer.decode(trajectory.generatedTokens.filter { !tokenizer.completionEnds.contains($0) }),
      completionTokens: trajectory.logProbabilities.count, finished: trajectory.finished)
  }

  /// The answer of a prompt as a trajectory that π_old could have sampled.
  private struct Demonstration {
    let item: RolloutItem
    let trajectory: Trajectory
    let rewardItem: RewardItem
  }

  /// The demonstrations of prompts; none without an answer, or if the answer is longer than a completion can be.
  /// π_old samples the latents and gives the log-probabilities, by the functions of training, so the first ratio is 1.
  private func demonstrations(_ work: [Work], _ policy: PackedModel, _ context: Context) throws -> [Demonstration] {
    var found: [(item: RolloutItem, prompt: Prompt, sequence: TrainingSequence)] = []
    for work in work where !work.prompt.answer.isEmpty {
      guard let item = work.demonstration else { continue }
      let answer = tokenizer.encode(work.prompt.answer) + [tokenizer.answerEnd]
      guard answer.count <= configuration.objective.maxTrajectoryLen else { continue }
      let sequence = TrainingSequence(
        id: Trajectory.firstDemonstration + UInt64(work.number), tokens: work.tokens + answer,
        positions: Array(work.tokens.count..<work.tokens.count + answer.count))
      found.append((item, work.prompt, sequence))
    }
    var trajectories: [Trajectory] = []
    for part in MicroBatches.cut(found.map(\.sequence.tokens.count), tokens: MicroBatches.tokens(recomputed: false)) {
      trajectories += self.trajectories(found[part].map(\.sequence), policy, context)
    }
    return zip(found, trajectories).map { found, trajectory in
      Demonstration(
        item: found.item, trajectory: trajectory,
        rewardItem: RewardItem(
          id: trajectory.id, prompt: found.prompt, completion: found.prompt.answer,
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
