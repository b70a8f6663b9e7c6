import Layers
import Models
import MPI

/// What the sequences of a step are trained for: the policy loss, or cross-entropy.
///
/// An `OptimizationStep` calls it: `prepare` and `diffusionInput` before a micro-batch's forward pass, `evaluate` between
/// the passes, `add` after the backward pass. It never calls back.
package protocol SequenceObjective {
  /// What one sequence contributes to the loss, in values that need no memory of their own.
  associatedtype Terms: BitwiseCopyable
  associatedtype Record: StepRecord

  /// What the logits are divided by.
  var temperature: Float { get }

  /// Completes the sequences of a micro-batch by what needs a pass of its own.
  func prepare(_ sequences: [TrainingSequence], _ learner: Learner) -> [TrainingSequence]
  /// Targets and noise of the diffusion loss, rows as in the concatenated sequences; nil without diffusion.
  func diffusionInput(_ sequences: [TrainingSequence], _ learner: Learner) -> ReasoningDiffusion.LossInput?
  /// The terms of a sequence; writes the gradients of its loss, which are 0 before.
  func evaluate(
    _ sequence: TrainingSequence, _ signals: SequencePass.Signals, into gradients: SequencePass.Gradients
  ) -> Terms
  /// Adds a sequence's part to the record of its group or unit.
  func add(_ result: SequenceResult<Terms>, of sequence: TrainingSequence, to record: inout Record)
  /// The loss that records have added up to, for the check of gradients.
  func checkedLoss(_ records: [Record]) -> CheckedLoss
}

extension SequenceObjective {
  package func prepare(_ sequences: [TrainingSequence], _ learner: Learner) -> [TrainingSequence] { sequences }
}

/// What ranks tell each other of a group or unit of a step.
package protocol StepRecord: RankRecord {
  /// The first sequence whose loss is not finite.
  var nonfiniteSequence: UInt64? { get }
  /// Index of the first tensor whose gradient could not be added in fixed point.
  var nonfiniteTensor: Int? { get set }
  /// The group, if the record is of one, for messages.
  var groupNumber: UInt64? { get }
}

/// What the passes gave for one sequence; valid during the call that gets it.
package struct SequenceResult<Terms> {
  package let terms: Terms
  package let losses: SequencePass.Losses
  package let signals: SequencePass.Signals
  /// Target bits of the diffusion loss, as the sequence's latents are packed; nil without diffusion.
  package let diffusionTargets: ArraySlice<UInt8>?
  /// Latent bits of a position.
  package let latentBits: Int
}
