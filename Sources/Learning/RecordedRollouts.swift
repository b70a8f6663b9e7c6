import Configuration
import Models
import Parameters
import Rollouts
import Tensors

/// Groups that any policy recorded earlier, in a new order in each epoch.
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

  /// A recorded sequence with its global id.
  private struct NumberedSequence {
    let id: UInt64
    let sequence: RecordedSequence
  }

  package func groups(_ numbers: [Int], policy: PackedModel, _ context: Context) throws -> RolloutBatch {
    var batch = RolloutBatch()
    for number in numbers {
      let (epoch, position) = number.quotientAndRemainder(dividingBy: groups.count)
      let order = CounterPermutation(count: groups.count, seed: configuration.rl.seed, epoch: UInt64(epoch))
      let recorded = groups[order[position]]
      var numbered: [NumberedSequence] = []
      var group = TrajectoryGroup(id: UInt64(number), trajectories: [])
      var owners: [Int] = []
      let scored = recorded.trajectories.compactMap { trajectory in trajectory.reward.map { (trajectory, $0) } }
      for (owner, (trajectory, reward)) in scored.enumerated() {
        for sequence in trajectory.sequences {
          numbered.append(NumberedSequence(id: UInt64(number * largest + numbered.count), sequence: sequence))
          owners.append(owner)
          group.rewards.append(reward)
        }
      }
      group.trajectories = trajectories(numbered, policy, context)
      group.owners = owners
      batch.add(
        group, recorded, rewards: scored.map(\.1), dropsUniform: configuration.rl.dynamicSampling, tokenizer)
    }
    return batch
  }

  private func trajectories(_ numbered: [NumberedSequence], _ policy: PackedModel, _ context: Context) -> [Trajectory] {
    MicroBatches.cut(numbered.map(\.sequence.tokens.count), tokens: MicroBatches.tokens(recomputed: false))
      .flatMap { completed(Array(numbered[$0]), policy, context) }
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
