import Configuration
import Objectives
import Rollouts

/// How to divide a step's trajectories into units and micro-batches.
extension Trainer {
  /// This rank's part of a step, as units. With expert parallelism, ranks process reproducible units in step, so similar
  /// units come at the same time: the longest first.
  package func units(_ groups: [StepGroup], _ counts: BatchCounts) throws -> [StepUnit<TrajectoryRecord>] {
    try units(groups, counts, objective)
  }

  private func units(
    _ groups: [StepGroup], _ counts: BatchCounts, _ objective: ObjectiveConfiguration
  ) throws(ObjectiveError) -> [StepUnit<TrajectoryRecord>] {
    let units = try Self.units(
      groups, counts, objective: objective, configuration, isReproducible: learner.reducer.isReproducible)
    guard learner.experts != nil else { return units }
    return units.enumerated().sorted { ($1.element.tokens, $0.offset) < ($0.element.tokens, $1.offset) }.map(\.element)
  }

  /// The units of the trajectories that this rank has: those of each group if sums are reproducible
  /// (`StepGroup.units`), otherwise all trajectories together.
  ///
  /// - Parameter counts: totals of the step over all ranks.
  /// - Throws: `ObjectiveError` if a reward is not finite.
  package static func units(
    _ groups: [StepGroup], _ counts: BatchCounts, objective: ObjectiveConfiguration,
    _ configuration: RunConfiguration, isReproducible: Bool
  ) throws(ObjectiveError) -> [StepUnit<TrajectoryRecord>] {
    var units: [StepUnit<TrajectoryRecord>] = []
    var (records, sequences): ([TrajectoryRecord], [TrainingSequence]) = ([], [])
    func close() {
      guard !records.isEmpty else { return }
      let parts = MicroBatches.parts(sequences.map(\.tokens.count), configuration)
      units.append(StepUnit(records: records, microBatches: parts.map { Array(sequences[$0]) }))
      (records, sequences) = ([], [])
    }
    for group in groups where !group.parts.isEmpty {
      let objective = try group.objective(objective, counts)
      let own = Dictionary(uniqueKeysWithValues: group.parts.map { ($0.index, $0.trajectory) })
      for unit in group.units(objective, configuration, isReproducible: isReproducible) {
        for index in unit {
          guard let trajectory = own[index] else { continue }
          var sequence = TrainingSequence(trajectory, index: index, of: objective, group: group.id)
          sequence.record = records.count
          sequences.append(sequence)
          records.append(TrajectoryRecord(group: group.id, index: index))
        }
        if isReproducible { close() }
      }
    }
    close()
    return units
  }

  /// The gradient norms of the policy loss and of the other losses that move the policy (entropy, balance, diffusion,
  /// KL), at steps for which `logging.norms_every` asks: two passes in addition to the step's. Collective.
  func measuredNorms(_ groups: [StepGroup], _ counts: BatchCounts) throws -> [String: Double] {
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
    _ groups: [StepGroup], _ objective: ObjectiveConfiguration, _ counts: BatchCounts
  ) throws -> Double {
    let policy = PolicyObjective(
      objective, reference: objective.klCoef != 0 ? reference : nil, seed: configuration.rl.seed)
    return try OptimizationStep(learner, policy, configuration, rateKey: "rl.learning_rate")
      .run(units(groups, counts, objective), step: stepCount + 1).norm
  }
}
