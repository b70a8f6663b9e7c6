import Configuration
import Layers
import Models
import Rollouts

/// Next-token pre-training: the mean cross-entropy over the trained tokens of the complete batch, plus the balance and
/// diffusion losses.
///
///     loss = −(1/N) Σ log π(token) + auxLossCoef · mean L_aux + diffusionLossCoef · mean L_diff
///
/// N is the number of trained tokens of the batch; means are over the sequences of the batch. Latents are sampled by
/// the current weights, without gradient.
package struct CrossEntropyObjective: SequenceObjective {
  /// The contribution of a reduction unit to a step.
  package struct Record: StepRecord {
    /// −(1/N) Σ log π.
    package var crossEntropy = 0.0
    /// Sums of L_aux and L_diff over sequences.
    package var auxiliary = 0.0
    package var diffusion = 0.0
    package var tokens = 0
    package var nonfiniteSequence: UInt64?
    package var nonfiniteTensor: Int?
    package var groupNumber: UInt64? { nil }

    package init() {}
  }

  /// Empty: a record adds log-probabilities itself, so that their sum has one order.
  package struct Terms: BitwiseCopyable {}

  /// 1/N.
  private let tokenWeight: Double
  /// Number of sequences of the batch.
  private let batchSize: Int
  private let configuration: PretrainConfiguration
  private let seed: UInt64

  /// - Parameters:
  ///   - predicted: N.
  ///   - seed: the seed of latents and of the noise of the diffusion loss.
  package init(_ configuration: PretrainConfiguration, predicted: Int, seed: UInt64) {
    tokenWeight = 1 / Double(max(1, predicted))
    batchSize = configuration.batchSize
    self.configuration = configuration
    self.seed = seed
  }

  package var temperature: Float { 1 }

  /// Samples latents.
  package func prepare(_ sequences: [TrainingSequence], _ learner: Learner) -> [TrainingSequence] {
    var sequences = sequences
    let latents = LatentSampling.latents(
      sequences.map(\.tokens), ids: sequences.map(\.id), seed: seed, learner.model, learner.weights, learner.context)
    for index in sequences.indices { sequences[index].latents = latents[index] }
    return sequences
  }

  package func diffusionInput(_ sequences: [TrainingSequence], _ learner: Learner) -> ReasoningDiffusion.LossInput? {
    DiffusionNoise.input(sequences.map { ($0.id, $0.tokens) }, learner, seed)
  }

  package func evaluate(
    _ sequence: TrainingSequence, _ signals: SequencePass.Signals, into gradients: SequencePass.Gradients
  ) -> Terms {
    gradients.logProbabilities.update(repeating: Float(-tokenWeight))
    return Terms()
  }

  package func add(_ result: SequenceResult<Terms>, of sequence: TrainingSequence, to record: inout Record) {
    for value in result.signals.logProbabilities { record.crossEntropy -= tokenWeight * Double(value) }
    record.auxiliary += result.losses.auxiliary
    record.diffusion += result.losses.diffusion
    record.tokens += sequence.tokens.count
    let sum = record.crossEntropy + record.auxiliary + record.diffusion
    if record.nonfiniteSequence == nil, !sum.isFinite { record.nonfiniteSequence = sequence.id }
  }

  package func checkedLoss(_ records: [Record]) -> CheckedLoss {
    CheckedLoss(trunk: Figures(records, configuration).loss)
  }

  /// The metrics of a step, from its records.
  package struct Figures {
    package private(set) var crossEntropy = 0.0
    package private(set) var auxiliary = 0.0
    package private(set) var diffusion = 0.0
    package private(set) var tokens = 0
    /// The weighted sum of the losses.
    package let loss: Double

    package init(_ records: [Record], _ configuration: PretrainConfiguration) {
      let size = Double(configuration.batchSize)
      for record in records {
        crossEntropy += record.crossEntropy
        auxiliary += record.auxiliary / size
        diffusion += record.diffusion / size
        tokens += record.tokens
      }
      loss = crossEntropy + configuration.auxLossCoef * auxiliary + configuration.diffusionLossCoef * diffusion
    }
  }
}
