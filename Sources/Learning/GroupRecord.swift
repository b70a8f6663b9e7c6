import Objectives
import Rollouts

/// The contribution of one group to a step, added up from its trajectories in their order, so losses and metrics have
/// the same bits on any layout.
package struct GroupRecord: Sendable {
  package let group: UInt64
  /// Mean and standard deviation of the rewards, and whether all rewards are equal.
  package private(set) var rewardMean = 0.0
  package private(set) var rewardDeviation = 0.0
  package private(set) var isUniform = false
  /// Whether any token of the group has an advantage.
  package let teaches: Bool
  /// Number of generated tokens; `statistics` counts those in the loss.
  private let tokens: Int
  package private(set) var terms = ObjectiveTerms()
  package private(set) var statistics = RatioStatistics()
  /// Number of latent bits that equal the sketch of the following tokens, and number of all latent bits.
  package private(set) var latentHits = 0
  package private(set) var latentBits = 0

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

  /// The records of a step's groups, which are in order of their numbers.
  ///
  /// - Parameter trajectories: the records of all ranks, in order.
  /// - Throws: `ObjectiveError` if a reward is not finite.
  static func of(
    _ groups: [StepGroup], _ objective: ObjectiveConfiguration, _ counts: BatchCounts,
    _ trajectories: [TrajectoryRecord]
  ) throws(ObjectiveError) -> [GroupRecord] {
    var records: [GroupRecord] = []
    var rest = trajectories[...]
    for group in groups {
      var record = GroupRecord(
        group: group.id, try group.objective(objective, counts),
        demonstrations: group.members.count(where: \.isDemonstration))
      while let next = rest.first, next.group == group.id {
        record.add(next)
        rest = rest.dropFirst()
      }
      records.append(record)
    }
    return records
  }

  /// The mean entropy of the tokens in the loss, divided by the number of groups; 0 without any.
  var entropy: Double {
    statistics.tokens > 0 ? terms.entropy * (Double(tokens) / Double(statistics.tokens)) : 0
  }

  private mutating func add(_ trajectory: TrajectoryRecord) {
    terms += trajectory.terms
    statistics += trajectory.statistics
    latentHits += trajectory.latentHits
    latentBits += trajectory.latentBits
  }
}
