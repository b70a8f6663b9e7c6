import MPI
import Rollouts

/// What a rank sampled: trajectories with their outcomes, and what reports show of them.
package struct RolloutPart: Sendable {
  /// A trajectory as it is trained on, and the outcome of its scoring.
  struct Member: Sendable {
    let trajectory: Trajectory
    let outcome: TrajectoryOutcome
  }

  /// A metric of one trajectory.
  package struct Figure: RankRecord {
    let group: UInt64
    /// Index of the item in its group; older checkpoints lack this number.
    let index: Int?
    let name: String
    let value: Double
  }

  /// In order of groups and items.
  var members: [Member] = []
  var samples: [CompletionSample] = []
  /// Seconds spent in the scorers.
  var rewardSeconds = 0.0
  /// Seconds that this rank waited for scores after the last token.
  var rewardWaitSeconds = 0.0
  /// Further metrics that rewards return with their scores, in the order of the trajectories.
  var figures: [Figure] = []

  /// Appends the part of a later round.
  mutating func append(_ later: RolloutPart) {
    members += later.members
    samples += later.samples
    figures += later.figures
    rewardSeconds += later.rewardSeconds
    rewardWaitSeconds += later.rewardWaitSeconds
  }
}
