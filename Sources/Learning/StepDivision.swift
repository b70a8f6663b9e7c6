import Configuration
import Objectives
import Rollouts

/// Which rank trains on which trajectory of the updates of a rollout. Follows from lengths and rewards alone, so all ranks
/// compute the same division.
package struct StepDivision: Sendable {
  /// The ranks of the members of each group. A group belongs to one update.
  private let ranks: [UInt64: [Int]]

  /// - Throws: `ObjectiveError` if a reward is not finite.
  package init(
    _ updates: [[StepGroup.Head]], _ objective: ObjectiveConfiguration, _ configuration: RunConfiguration,
    isReproducible: Bool, ranks: Int
  ) throws(ObjectiveError) {
    var result: [UInt64: [Int]] = [:]
    for heads in updates {
      let division = try StepGroup.division(
        of: heads.map { StepGroup($0) }, objective: objective, configuration, isReproducible: isReproducible,
        ranks: ranks)
      for (head, members) in zip(heads, division) { result[head.id] = members }
    }
    self.ranks = result
  }

  func rank(of placed: PlacedTrajectory) -> Int { ranks[placed.group]?[placed.index] ?? 0 }

  /// The places of the trajectories of a rank: group and index.
  package func places(of rank: Int) -> [(group: UInt64, index: Int)] {
    ranks.flatMap { group, members in members.indices.filter { members[$0] == rank }.map { (group, $0) } }
  }

  /// The groups of each update with the trajectories of this rank, `own`, which are in order of groups and indices.
  package func groups(_ updates: [[StepGroup.Head]], _ own: [PlacedTrajectory]) -> [[StepGroup]] {
    let placed = Dictionary(grouping: own, by: \.group)
    return updates.map { heads in
      heads.map { head in
        StepGroup(
          head, parts: (placed[head.id] ?? []).map { StepGroup.Part(index: $0.index, trajectory: $0.trajectory) })
      }
    }
  }
}
