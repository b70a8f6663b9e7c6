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
      let objective = try Self.objective(group, objective, counts)
      let skips = configuration.rl.zeroAdvantage == .skip
      for (index, trajectory) in group.trajectories.enumerated() where !skips || objective.advantages[index] != 0 {
        var sequence = TrainingSequence(trajectory, index: index, of: objective, group: group.id)
        sequence.record = records.count
        sequences.append(sequence)
      }
      records.append(
        GroupRecord(
          group: group.id, objective, demonstrations: group.trajectories.count(where: \.isDemonstration)))
      if isReproducible { close() }
    }
    close()
    return units
  }

  /// The gradient norms of the policy loss and of the other losses that move the policy (entropy, balance, diffusion,
  /// KL), at steps for which `logging.norms_every` asks: two passes in addition to the step's. Collective.
  func measuredNorms(_ groups: [TrajectoryGroup], _ counts: BatchCounts) throws -> [String: Double] {
    let every = configuration.logging.normsEvery
    guard every > 0, stepCount == 0 || (stepCount + 1).isMultiple(of: every), learner.observer == nil else {
      return [:]
    }
    var policy = objective
    (policy.entropyCoef, policy.auxLossCoef, policy.diffusionLossCoef) = (0, 0, 0)
    (policy.klCoef, policy.valueCoef) = (0, 0)
    var others = objective
    (others.policyCoef, others.valueCoef) = (0, 0)
    return [
      "grad_norm/policy": try norm(groups, policy, counts),
      "grad_norm/other": try norm(groups, others, counts),
    ]
  }

  /// The gradient norm of the step with another objective. Collective.
  private func norm(
    _ groups: [TrajectoryGroup], _ objective: ObjectiveConfiguration, _ counts: BatchCounts
  ) throws -> Double {
    let policy = PolicyObjective(
      objective, reference: objective.klCoef != 0 ? reference : nil, seed: configuration.rl.seed)
    let units = try Self.units(
      groups, counts, objective: objective, configuration, isReproducible: learner.reducer.isReproducible)
    return try OptimizationStep(learner, policy, configuration, rateKey: "rl.learning_rate")
      .run(units, step: stepCount + 1).norm
  }

  private static func objective(
    _ group: TrajectoryGroup, _ configuration: ObjectiveConfiguration, _ counts: BatchCounts
  ) throws(ObjectiveError) -> GroupObjective {
    try GroupObjective(
      configuration: configuration, rewards: group.rewards,
      tokenCounts: group.trajectories.map { $0.logProbabilities.count }, batch: counts, owners: group.owners)
  }
}
