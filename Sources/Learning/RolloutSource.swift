import Parameters
import Rollouts
import Tensors

/// The source of a trainer's groups: sampled for prompts, or recorded earlier.
///
/// A group consists of items: its trajectories or sequences. Any rank can sample any item.
package protocol RolloutSource: Sendable {
  /// The names of the rewards, for metrics.
  var rewardNames: [String] { get }
  /// Whether this program computed the log-probabilities of the groups with π_old.
  var hasExactLogProbabilities: Bool { get }

  /// The origin of a group's prompt.
  func origin(of number: Int) -> GroupOrigin

  /// The expected cost of each item of group `number`, in any unit. The same on every rank.
  func costs(of number: Int) -> [Int]

  /// Samples and scores items, which are in order of groups. The result depends only on items and policy. Local.
  ///
  /// - Parameter policy: π_old.
  func sample(_ items: [RolloutItem], policy: PackedModel, _ context: Context) throws -> RolloutPart

  /// Group `number`, from the outcomes of all its items. The same on every rank.
  func group(_ number: Int, _ outcomes: ArraySlice<TrajectoryOutcome>) -> SampledGroup
}

/// One trajectory to sample.
package struct RolloutItem: Sendable, Equatable {
  /// The number of the group, and the index in the group.
  let number: Int
  let index: Int
  /// Whether reports show the trajectory token by token.
  var isShown = false
}

extension RolloutSource {
  /// Number of trajectories of a rollout that reports show token by token.
  private var shown: Int { 8 }

  /// The items of groups, and their costs.
  func items(_ numbers: some Sequence<Int>) -> (items: [RolloutItem], costs: [Int]) {
    var (items, costs): ([RolloutItem], [Int]) = ([], [])
    for number in numbers {
      for (index, cost) in self.costs(of: number).enumerated() {
        items.append(RolloutItem(number: number, index: index, isShown: items.count < shown))
        costs.append(cost)
      }
    }
    return (items, costs)
  }

  /// The groups of `numbers` from the outcomes of all their items, which are in order.
  func groups(_ numbers: some Sequence<Int>, _ outcomes: [TrajectoryOutcome]) -> [SampledGroup] {
    var rest = outcomes[...]
    return numbers.map { number in
      let own = rest.prefix { $0.number == UInt64(number) }
      rest = rest.dropFirst(own.count)
      return group(number, own)
    }
  }
}

/// The source of a group's prompt.
package struct GroupOrigin: Sendable {
  /// The source's name; nil for the only source.
  let source: String?
  /// The positions in `RolloutSource.rewardNames` of the rewards that score the group.
  let rewards: [Int]
}
