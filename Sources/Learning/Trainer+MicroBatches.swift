import Objectives
import Rollouts

/// How a step's trajectories are cut into units and micro-batches.
extension Trainer {
  /// A trajectory of the step with its group.
  struct Piece {
    let group: UInt64
    /// The group's place in its unit.
    let place: Int
    let trajectory: Trajectory
    let objective: GroupObjective
    let index: Int
  }

  /// What must not be cut: with reproducible sums each group, otherwise everything this rank has.
  package func units(_ groups: [TrajectoryGroup], _ counts: BatchCounts) throws -> [[Unit]] {
    let all = try groups.map { group in
      Unit(
        group: group.id, trajectories: group.trajectories,
        objective: try GroupObjective(
          configuration: objective, rewards: group.rewards,
          tokenCounts: group.trajectories.map { $0.logProbabilities.count }, batch: counts, owners: group.owners))
    }
    if learner.reducer.isReproducible { return all.map { [$0] } }
    return all.isEmpty ? [] : [all]
  }

  package struct Unit {
    package let group: UInt64
    package let trajectories: [Trajectory]
    package let objective: GroupObjective
  }

  /// The trajectories of each micro-batch of a unit.
  func split(_ unit: [Unit]) -> [[Piece]] {
    let pieces = unit.enumerated().flatMap { place, unit in
      unit.trajectories.enumerated().map { index, trajectory in
        Piece(group: unit.group, place: place, trajectory: trajectory, objective: unit.objective, index: index)
      }
    }
    return MicroBatches.parts(pieces.map { $0.trajectory.tokens.count }, configuration).map { Array(pieces[$0]) }
  }
}
