import Parameters
import Rollouts
import Tensors

/// The source of a trainer's groups: sampled for prompts, or recorded earlier.
package protocol RolloutSource: Sendable {
  /// The names of the rewards, for metrics.
  var rewardNames: [String] { get }
  /// Whether this program computed the log-probabilities of the groups with π_old.
  var hasExactLogProbabilities: Bool { get }

  /// The origin of a group's prompt.
  func origin(of number: Int) -> GroupOrigin

  /// Returns the groups with the given global numbers. The result depends only on numbers and policy. Local.
  ///
  /// - Parameter policy: π_old.
  func groups(_ numbers: [Int], policy: PackedModel, _ context: Context) throws -> RolloutBatch
}

/// The source of a group's prompt.
package struct GroupOrigin: Sendable {
  /// The source's name; nil for the only source.
  let source: String?
  /// The positions in `RolloutSource.rewardNames` of the rewards that score the group.
  let rewards: [Int]
}
