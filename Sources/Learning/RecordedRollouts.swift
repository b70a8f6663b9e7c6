import Configuration
import Models
import Parameters
import Rollouts
import Tensors

/// Groups that any policy recorded earlier, in a new order in each epoch or, without `data.shuffle`, as recorded.
///
/// π_old samples the latents. π_old also computes log-probabilities that were not recorded, once per rollout, by the
/// function of the training forward pass, so that the ratios of the first update are exactly 1.
package struct RecordedRollouts: RolloutSource {
  let configuration: RunConfiguration
  let model: QuillanModel
  let tokenizer: any Tokenizer
  private let groups: [RecordedGroup]
  /// Number of sequences of the largest group; each group number reserves this many ids.
  private let largest: Int

  package var rewardNames: [String] { [] }
  package func origin(of number: Int) -> GroupOrigin { GroupOrigin(source: nil, rewards: []) }

  /// False if log-probabilities were recorded: the program that computed them rounds differently.
  package var hasExactLogProbabilities: Bool {
    groups.allSatisfy { $0.trajectories.allSatisfy { $0.sequences.allSatisfy { $0.logProbabilities == nil } } }
  }

  /// - Throws: `TrainingError` if a sequence is longer than `model.max_seq_len`.
  init(configuration: RunConfiguration, model: QuillanModel, tokenizer: any Tokenizer, groups: [RecordedGroup]) throws {
    self.configuration = configuration
    self.model = model
    self.tokenizer = tokenizer
    self.groups = groups
    largest = groups.map { $0.trajectories.reduce(0) { $0 + $1.sequences.count } }.max() ?? 1
    try Self.check(groups, configuration)
  }

  /// - Throws: `TrainingError` with the line of the first sequence that is longer than `model.max_seq_len`.
  package static func check(_ groups: [RecordedGroup], _ configuration: RunConfiguration) throws {
    for group in groups {
      let length = group.trajectories.flatMap(\.sequences).map(\.tokens.count).max() ?? 0
      guard length <= configuration.model.maxSeqLen else {
        throw TrainingError(
          .data,
          "\(group.origin): a sequence has \(length) tokens, model.max_seq_len is \(configuration.model.maxSeqLen); "
            + "shorten it or raise model.max_seq_len")
      }
    }
  }

  /// A recorded sequence with its global id, and where it comes from.
  private struct NumberedSequence {
    let item: RolloutItem
    let id: UInt64
    let recorded: RecordedGroup
    let sequence: RecordedSequence
    /// The index of its trajectory among the scored ones, and the reward of the trajectory.
    let owner: Int
    let reward: Double
  }

  /// The group that number `number` draws.
  private func recorded(_ number: Int) -> RecordedGroup {
    let (epoch, position) = number.quotientAndRemainder(dividingBy: groups.count)
    guard configuration.data.shuffle else { return groups[position] }
    return groups[CounterPermutation(count: groups.count, seed: configuration.rl.seed, epoch: UInt64(epoch))[position]]
  }

  /// The sequences of the scored trajectories of a group.
  private func sequences(_ number: Int) -> [NumberedSequence] {
    let recorded = recorded(number)
    var result: [NumberedSequence] = []
    let scored = recorded.trajectories.compactMap { trajectory in trajectory.reward.map { (trajectory, $0) } }
    for (owner, (trajectory, reward)) in scored.enumerated() {
      for sequence in trajectory.sequences {
        let index = result.count
        result.append(
          NumberedSequence(
            item: RolloutItem(number: number, index: index), id: UInt64(number * largest + index), recorded: recorded,
            sequence: sequence, owner: owner, reward: reward))
      }
    }
    return result
  }

  private func prompt(_ number: Int, _ recorded: RecordedGroup) -> Prompt {
    Prompt(id: Int64(number), text: recorded.question, answer: "", origin: recorded.origin)
  }

  package func costs(of number: Int) -> [Int] { sequences(number).map(\.sequence.tokens.count) }

  package func group(_ number: Int, _ outcomes: ArraySlice<TrajectoryOutcome>) -> SampledGroup {
    let recorded = recorded(number)
    return SampledGroup(
      number: number, digest: prompt(number, recorded).digest, outcomes,
      missing: recorded.trajectories.count { $0.reward == nil },
      SampledGroup.Rules(parts: 0, dropsUniform: configuration.rl.dynamicSampling, filtersOverlong: false))
  }

  package func sample(_ items: [RolloutItem], policy: PackedModel, _ context: Context) throws -> RolloutPart {
    var numbered: [NumberedSequence] = []
    var all: [NumberedSequence] = []
    for item in items {
      if all.first?.item.number != item.number { all = sequences(item.number) }
      numbered.append(all[item.index])
    }
    var part = RolloutPart()
    for range in MicroBatches.cut(
      numbered.map(\.sequence.tokens.count), tokens: MicroBatches.tokens(recomputed: false))
    {
      for (sequence, trajectory) in zip(numbered[range], completed(Array(numbered[range]), policy, context)) {
        let score = WeightedRewards.Score(total: sequence.reward, parts: [], metrics: [:])
        part.members.append(
          RolloutPart.Member(
            trajectory: trajectory,
            outcome: TrajectoryOutcome(
              sequence.item, trajectory, digest: prompt(sequence.item.number, sequence.recorded).digest,
              owner: sequence.owner, .scored(score))))
        part.samples.append(
          CompletionSample(
            prompt: sequence.recorded.question, completion: tokenizer.decode(trajectory.generatedTokens), answer: nil,
            reward: sequence.reward, trajectory: trajectory.id))
      }
    }
    return part
  }

  /// Adds latents, and log-probabilities that were not recorded.
  private func completed(_ numbered: [NumberedSequence], _ policy: PackedModel, _ context: Context) -> [Trajectory] {
    let latents = LatentSampling.latents(
      numbered.map(\.sequence.tokens), ids: numbered.map(\.id), seed: configuration.rl.seed, model, policy, context)
    let signals = SequenceSignals.of(
      zip(numbered, latents).map { item, latents in
        let mask = item.sequence.mask
        return TrainingSequence(
          id: item.id, tokens: item.sequence.tokens, positions: mask.indices.filter { mask[$0] }, latents: latents)
      }, model, policy, temperature: Float(configuration.objective.temperature), context)
    return numbered.indices.map { index in
      let sequence = numbered[index].sequence
      return Trajectory(
        id: numbered[index].id, promptID: numbered[index].id,
        promptLength: sequence.mask.firstIndex(of: true) ?? sequence.tokens.count, tokens: sequence.tokens,
        mask: sequence.mask, latents: latents[index],
        logProbabilities: sequence.logProbabilities ?? signals[index].logProbabilities,
        finished: sequence.tokens.last.map(tokenizer.completionEnds.contains) ?? false)
    }
  }
}
