import Objectives
import Rollouts

/// The contribution of one group to a step. Every rank adds the records of all groups in the order of group numbers, so
/// losses and metrics have the same bits on any layout.
package struct GroupRecord: StepRecord {
  package let group: UInt64
  /// Mean and standard deviation of the rewards, and whether all rewards are equal.
  package private(set) var rewardMean = 0.0
  package private(set) var rewardDeviation = 0.0
  package private(set) var isUniform = false
  /// Whether any token of the group has an advantage.
  package private(set) var teaches = false
  /// Number of generated tokens; `statistics` counts those in the loss.
  private var tokens = 0
  package private(set) var terms = ObjectiveTerms()
  package private(set) var statistics = RatioStatistics()
  /// Number of latent bits that equal the sketch of the following tokens, and number of all latent bits.
  package private(set) var latentHits = 0
  package private(set) var latentBits = 0
  package private(set) var nonfiniteSequence: UInt64?
  package var nonfiniteTensor: Int?

  package var groupNumber: UInt64? { group }

  /// - Parameter demonstrations: number of trajectories at the end of the group that no policy sampled.
  package init(group: UInt64, _ objective: GroupObjective, demonstrations: Int = 0) {
    self.group = group
    teaches = objective.teaches
    tokens = objective.tokenCounts.reduce(0, +)
    if let statistics = try? RewardStatistics(of: Array(objective.trajectoryRewards.dropLast(demonstrations))) {
      rewardMean = statistics.mean
      rewardDeviation = statistics.standardDeviation
      isUniform = statistics.isUniform
    }
  }

  /// The mean entropy of the tokens in the loss, divided by the number of groups; 0 without any.
  var entropy: Double {
    statistics.tokens > 0 ? terms.entropy * (Double(tokens) / Double(statistics.tokens)) : 0
  }

  mutating func add(_ terms: ObjectiveTerms, _ statistics: RatioStatistics, of sequence: TrainingSequence) {
    self.terms += terms
    self.statistics += statistics
    let sum = terms.policy + terms.entropy + terms.aux + terms.diffusion + terms.value + terms.kl
    if nonfiniteSequence == nil, !sum.isFinite { nonfiniteSequence = sequence.id }
  }

  /// Compares the latents of all positions of a trajectory except the last with their targets.
  mutating func compare(latents: [UInt8], targets: ArraySlice<UInt8>, bits: Int, positions: Int) {
    var wrong = 0
    for (latent, target) in zip(latents, targets).prefix((bits + 7) / 8 * max(0, positions - 1)) {
      wrong += (latent ^ target).nonzeroBitCount
    }
    latentBits += bits * max(0, positions - 1)
    latentHits += bits * max(0, positions - 1) - wrong
  }
}
