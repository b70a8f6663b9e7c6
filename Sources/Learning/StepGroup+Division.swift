import Configuration
import Objectives

extension StepGroup {
  /// The sequences to train on, as the units of the group: runs that one rank trains on. They follow from the group alone.
  ///
  /// If sums are reproducible, the units are those of `MicroBatches.units`; otherwise each sequence is a unit. With
  /// `rl.zero_advantage: skip`, sequences without an advantage are in no unit.
  func units(
    _ objective: GroupObjective, _ configuration: RunConfiguration, isReproducible: Bool
  ) -> [[Int]] {
    let skips = configuration.rl.zeroAdvantage == .skip
    let trained = members.indices.filter { !skips || objective.advantages[$0] != 0 }
    guard isReproducible else { return trained.map { [$0] } }
    return MicroBatches.units(trained.map { members[$0].tokens }).map { Array(trained[$0]) }
  }

  /// The rank that trains on each sequence of each group: units are divided by their tokens. Sequences that no unit has
  /// are divided by their tokens, too, because the trust region measures them.
  ///
  /// - Throws: `ObjectiveError` if a reward is not finite.
  package static func division(
    of groups: [StepGroup], objective: ObjectiveConfiguration, _ configuration: RunConfiguration,
    isReproducible: Bool, ranks: Int
  ) throws(ObjectiveError) -> [[Int]] {
    guard let counts = BatchCounts(groups) else { return [] }
    var units: [(group: Int, members: [Int])] = []
    var others: [(group: Int, members: [Int])] = []
    for (index, group) in groups.enumerated() {
      let own = group.units(try group.objective(objective, counts), configuration, isReproducible: isReproducible)
      let trained = Set(own.joined())
      units += own.map { (index, $0) }
      others += group.members.indices.filter { !trained.contains($0) }.map { (index, [$0]) }
    }
    var result = groups.map { [Int](repeating: 0, count: $0.members.count) }
    for items in [units, others] {
      let costs = items.map { item in item.members.reduce(0) { $0 + groups[item.group].members[$1].tokens } }
      for (item, rank) in zip(items, WorkDivision.balanced(costs, among: ranks)) {
        for member in item.members { result[item.group][member] = rank }
      }
    }
    return result
  }
}
