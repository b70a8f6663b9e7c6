import Models
import MPI
import Parallelism
import Parameters
import Rollouts

/// The trust region and the guard: a run that does not unlearn.
extension Trainer {
  /// Measures how far the update moved the policy, on a part of the groups, and scales the learning rate. Collective.
  func limitDivergence(_ groups: [StepGroup], _ report: inout StepReport) throws {
    guard trust.target > 0 else { return }
    let (weights, new) = try learner.wholeWeights()
    if let new, oldReplica == nil { publication = new }
    let stride = UInt64(max(1, configuration.rl.batchSize / Self.divergenceGroups))
    let chosen = groups.filter { $0.id.isMultiple(of: stride) }.flatMap(\.parts).map(\.trajectory)
    let all = try communicator.gather(records: divergences(of: chosen.filter { !$0.isDemonstration }, weights))
    guard let divergence = TrustRegion.divergence(all) else { return }
    report.metrics["update/kl"] = divergence
    report.metrics["update/rate_scale"] = trust.scale
    trust.adapt(to: divergence)
  }

  /// About the number of groups on which the divergence of an update is measured.
  private static let divergenceGroups = 8

  private func divergences(of trajectories: [Trajectory], _ weights: PackedModel) -> [TrustRegion.Record] {
    var records: [TrustRegion.Record] = []
    let sequences = trajectories.map {
      TrainingSequence(id: $0.id, tokens: $0.tokens, positions: $0.generatedPositions, latents: $0.latents)
    }
    for part in MicroBatches.cut(sequences.map(\.tokens.count), tokens: MicroBatches.tokens(recomputed: false)) {
      let signals = SequenceSignals.of(
        Array(sequences[part]), model, weights, temperature: Float(objective.temperature), context)
      for (index, signals) in zip(part, signals) {
        var record = TrustRegion.Record(trajectory: trajectories[index].id)
        record.add(old: trajectories[index].logProbabilities, new: signals.logProbabilities)
        records.append(record)
      }
    }
    return records
  }

  /// Judges an evaluation of the current weights, and keeps a copy if they are the best.
  package func judge(_ measure: Double) -> PolicyGuard.Verdict {
    bestPolicy?.judge(measure, step: stepCount, learner.masters) ?? .within
  }

  /// Goes on from the best weights with half the learning rate. Collective.
  package func returnToBest() throws {
    bestPolicy?.state.returns += 1
    // Rollouts of the abandoned policy, if any, are not used.
    (waiting, collected) = ([], nil)
    try adoptBest()
  }

  /// Replaces the current weights by the best ones. Collective.
  package func adoptBest() throws {
    guard let bestPolicy, bestPolicy.state.best != nil else { return }
    try learner.replaceMasters(by: bestPolicy.masters)
    try updateOldPolicy()
  }
}
