import Layers
import Models
import MPI

/// The training objective of the sequences of a step: the policy loss, or cross-entropy.
///
/// An `OptimizationStep` calls `prepare` and `diffusionInput` before the forward pass of a micro-batch, `evaluate`
/// between the passes and `add` after the backward pass. An objective never calls the step.
package protocol SequenceObjective {
  /// The contribution of one sequence to the loss, in values without memory of their own.
  associatedtype Terms: BitwiseCopyable
  associatedtype Record: StepRecord

  /// The divisor of the logits.
  var temperature: Float { get }

  /// Adds inputs that need an additional pass to the sequences of a micro-batch.
  func prepare(_ sequences: [TrainingSequence], _ learner: Learner) -> [TrainingSequence]
  /// Targets and noise of the diffusion loss, with the rows of the concatenated sequences; nil without diffusion.
  func diffusionInput(_ sequences: [TrainingSequence], _ learner: Learner) -> ReasoningDiffusion.LossInput?
  /// Computes the terms of a sequence and writes the gradients of its loss to zero-filled buffers.
  func evaluate(
    _ sequence: TrainingSequence, _ signals: SequencePass.Signals, into gradients: SequencePass.Gradients
  ) -> Terms
  /// Adds the result of a sequence to its record, or to that of its unit.
  func add(_ result: SequenceResult<Terms>, of sequence: TrainingSequence, to record: inout Record)
  /// The accumulated loss of `records`, for the gradient check.
  func checkedLoss(_ records: [Record]) -> CheckedLoss
}

extension SequenceObjective {
  package func prepare(_ sequences: [TrainingSequence], _ learner: Learner) -> [TrainingSequence] { sequences }
}

/// The results of a trajectory or unit that ranks exchange in a step.
package protocol StepRecord: RankRecord {
  /// The records of all ranks, in an order that does not depend on their number. Collective.
  static func gather(_ own: [Self], _ communicator: Communicator) throws(MPIError) -> [Self]

  /// The first sequence with a loss that is not finite.
  var nonfiniteSequence: UInt64? { get }
  /// Index of the first tensor with a gradient that could not be added in fixed point.
  var nonfiniteTensor: Int? { get set }
  /// The group of the record, for messages; nil in pre-training.
  var groupNumber: UInt64? { get }
}

extension StepRecord {
  /// The records in the order of the ranks: for ranks that have consecutive items.
  package static func gather(_ own: [Self], _ communicator: Communicator) throws(MPIError) -> [Self] {
    try communicator.gather(records: own)
  }
}

/// The results of the passes for one sequence. Valid only during the callback.
package struct SequenceResult<Terms> {
  package let terms: Terms
  package let losses: SequencePass.Losses
  package let signals: SequencePass.Signals
  /// Target bits of the diffusion loss, packed like the latents of the sequence; nil without diffusion.
  package let diffusionTargets: ArraySlice<UInt8>?
  /// Number of latent bits per position.
  package let latentBits: Int
}
