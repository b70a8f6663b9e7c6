import Parameters
import Rollouts
import Tensors

/// Where a trainer's groups come from: sampled for prompts, or recorded earlier.
package protocol RolloutSource: Sendable {
  /// The rewards' names, for metrics.
  var rewardNames: [String] { get }
  /// Whether the groups' log-probabilities are π_old's own, computed here.
  var hasExactLogProbabilities: Bool { get }

  /// Groups by their global numbers, a function of number and policy alone. Local.
  ///
  /// - Parameter policy: π_old.
  func groups(_ numbers: [Int], policy: PackedModel, _ context: Context) throws -> RolloutBatch
}
