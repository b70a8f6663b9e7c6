import Configuration
import Objectives
import Rollouts

/// How to divide a step's trajectories into units and micro-batches.
extension Trainer {
  /// This rank's groups of a step as units: each group if sums are reproducible, otherwise all groups together.
  package func units(_ groups: [TrajectoryGroup], _ counts: BatchCounts) throws -> [StepUnit<GroupRecord>] {
    try Self.units(
      groups, counts, objective: objective, configuration, isReproducible: learner.reducer.isReproducible)
  }

  /// - Parameter counts: totals of the step over all ranks.
  /// - Throws: `ObjectiveError` if a reward is not finite.
  package static func units(
    _ groups: [TrajectoryGroup], _ counts: BatchCounts, objective: ObjectiveConfiguration,
    _ configuration: RunConfiguration, isReproducible: Bool
  ) throws(ObjectiveError) -> [StepUnit<GroupRecord>] {
    var units: [StepUnit<GroupRecord>] = []
    var (records, sequences): ([GroupRecord], [TrainingSequence]) = ([], [])
    func close() {
      guard !records.isEmpty else { return }
      let parts = MicroBatches.parts(sequences.map(\.tokens.count), configuration)
      units.append(StepUnit(records: records, microBatches: parts.map { Array(sequences[$0]) }))
      (records, sequences) = ([], [])
    }
    for group in groups {
      let objective = try GroupObjective(
        configuration: objective, rewards: group.rewards,
        tokenCounts: group.trajectories.map { $0.logProbabilities.count }, batch: counts, owners: group.owners)
      for (index, trajectory) in group.trajectories.enumerated() {
        var sequence = TrainingSequence(trajectory, index: index, of: objective, group: group.id)
        sequence.record = records.count
        sequences.append(sequence)
      }
      records.append(GroupRecord(group: group.id, objective))
      if isReproducible { close() }
    }
    close()
    return units
  }
}
