import Layers
import LowBit
import Models
import Objectives
import Parameters
import Rollouts

/// The GRPO loss of trajectories (Shao et al., arXiv:2402.03300, with the options of DAPO, arXiv:2503.14476).
///
/// Every divisor comes from the group or the complete batch (`GroupObjective`), so the micro-batches add up to the same
/// loss for any division of the trajectories.
package struct PolicyObjective: SequenceObjective {
  /// The contribution of one trajectory. Terms include their weights, so they add up over the batch.
  package struct Terms: BitwiseCopyable {
    package var objective: ObjectiveTerms
    package var statistics: RatioStatistics
  }

  package let configuration: ObjectiveConfiguration
  /// π_ref, complete on every rank; nil without a KL term.
  private let reference: PackedModel?
  /// The seed of the noise of the diffusion loss.
  private let seed: UInt64

  package init(_ configuration: ObjectiveConfiguration, reference: PackedModel? = nil, seed: UInt64 = 0) {
    self.configuration = configuration
    self.reference = reference
    self.seed = seed
  }

  package var temperature: Float { Float(configuration.temperature) }

  /// Adds log π_ref of the generated tokens.
  package func prepare(_ sequences: [TrainingSequence], _ learner: Learner) -> [TrainingSequence] {
    guard let reference else { return sequences }
    var sequences = sequences
    let signals = SequenceSignals.of(
      sequences, learner.model, reference, temperature: temperature, learner.context)
    for index in sequences.indices {
      sequences[index].member?.referenceLogProbabilities = signals[index].logProbabilities
    }
    return sequences
  }

  package func diffusionInput(_ sequences: [TrainingSequence], _ learner: Learner) -> ReasoningDiffusion.LossInput? {
    DiffusionNoise.input(sequences.map { ($0.id, $0.tokens) }, learner, seed)
  }

  package func evaluate(
    _ sequence: TrainingSequence, _ signals: SequencePass.Signals, into gradients: SequencePass.Gradients
  ) -> Terms {
    guard let member = sequence.member else { preconditionFailure("sequence \(sequence.id) has no group") }
    gradients.entropies.update(repeating: member.objective.entropyGradient)
    let outcome = member.oldLogProbabilities.withUnsafeBufferPointer { old in
      member.referenceLogProbabilities.withUnsafeBuffer { references in
        member.objective.evaluate(
          trajectory: member.index,
          TrajectorySignals.View(
            oldLogProbabilities: old, logProbabilities: signals.logProbabilities, entropies: signals.entropies,
            values: signals.values, referenceLogProbabilities: references),
          logProbabilityGradients: gradients.logProbabilities, valueGradients: gradients.values)
      }
    }
    return Terms(objective: outcome.terms, statistics: outcome.statistics)
  }

  package func add(
    _ result: SequenceResult<Terms>, of sequence: TrainingSequence, to record: inout TrajectoryRecord
  ) {
    record.add(Self.terms(result, of: sequence), result.terms.statistics, of: sequence)
    if let targets = result.diffusionTargets {
      record.compare(
        latents: sequence.latents, targets: targets, bits: result.latentBits, positions: sequence.tokens.count)
    }
  }

  /// All terms of a trajectory, with L_aux and L_diff.
  package static func terms(_ result: SequenceResult<Terms>, of sequence: TrainingSequence) -> ObjectiveTerms {
    var terms = result.terms.objective
    let weight = sequence.member?.objective.trajectoryWeight ?? 0
    terms.aux = weight * result.losses.auxiliary
    terms.diffusion = weight * result.losses.diffusion
    return terms
  }

  package func checkedLoss(_ records: [TrajectoryRecord]) -> CheckedLoss {
    CheckedLoss(records.map(\.terms), configuration)
  }
}
