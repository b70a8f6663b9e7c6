import Layers
import LowBit
import Models
import Parameters
import Tensors

/// The forward pass of a micro-batch, with the model's outputs at the trained tokens; then its backward pass.
///
/// All results are arena memory, valid within the arena scope in which the pass was created. Allocates nothing after
/// the arenas have grown. Shapes: T tokens and N trained tokens of all sequences, d model.
package struct SequencePass {
  /// The model's outputs at the trained tokens of a sequence [N], in order of position. Log-probabilities and entropies
  /// (nats) are after division by the temperature.
  package struct Signals {
    package let logProbabilities: UnsafeBufferPointer<Float>
    package let entropies: UnsafeBufferPointer<Float>
    package let values: UnsafeBufferPointer<Float>
  }

  /// The gradients of the loss with respect to the signals of a sequence [N]; zero-filled before the objective writes
  /// them.
  package struct Gradients {
    package let logProbabilities: UnsafeMutableBufferPointer<Float>
    package let entropies: UnsafeMutableBufferPointer<Float>
    package let values: UnsafeMutableBufferPointer<Float>
  }

  /// The model's own losses of a sequence, before weights.
  package struct Losses {
    /// L_aux.
    package let auxiliary: Double
    /// L_diff.
    package let diffusion: Double
  }

  /// Outputs of embedding and Overseer [T, d], and of the layers.
  package let prefix: PrefixPass
  package let trunk: TrunkPass
  private let model: QuillanModel
  private let batch: SequenceBatch
  /// Hidden states that predict the tokens [N, d].
  private let selected: Matrix
  private let distribution: LanguageModelHead.Distribution
  /// [N]
  private let values: Vector
  private let dLogProbability: Vector
  private let dEntropy: Vector
  private let dValues: Vector
  /// L_diff of each sequence, after `backward`.
  private let diffusionLosses: ArenaList<Double>

  /// Runs the forward pass.
  ///
  /// - Parameters:
  ///   - weights: the weights that this rank holds; without an exchange, the complete model.
  ///   - loads: receives the routed slots of the sequences; nil if the balance loss is not needed.
  ///   - exchange: sends rows to the owners of their mini-MoEs; nil if this rank holds all.
  package init(
    _ sequences: [TrainingSequence], _ model: QuillanModel, _ weights: PackedModel, temperature: Float,
    retention: Retention, loads: RoutingLoads?, exchange: CouncilExchange?, _ context: Context
  ) {
    let arena = context.arena
    let batch = SequenceBatch(sequences, in: arena)
    let report = loads.map {
      BalanceReport(
        terms: BalanceTerms(
          lengths: batch.lengths, coefficients: batch.auxiliaryWeights, layers: model.layers.count),
        members: model.council.members.count, loads: $0, in: arena)
    }
    prefix = model.prefix(batch.tokens, weights, context)
    trunk = model.trunk(
      prefix, latents: model.diffusion == nil ? nil : batch.latents.view, report: report, exchange: exchange,
      retention: retention, weights, context)
    let rows = batch.predictors.count
    selected = model.gather(trunk.hidden, rows: batch.predictors.view, context)
    let lane = ForwardLane(weights, context.main)
    distribution = model.head.forward(
      model.head.input(selected, lane), targets: batch.targets.view, temperature: temperature, lane)
    values = arena.vector(rows)
    model.values(selected, weights, into: values)
    dLogProbability = arena.view(repeating: Float(0), count: rows)
    dEntropy = arena.view(repeating: Float(0), count: rows)
    dValues = arena.view(repeating: Float(0), count: rows)
    diffusionLosses = ArenaList<Double>(repeating: 0, count: sequences.count, in: arena)
    self.model = model
    self.batch = batch
  }

  package func signals(_ sequence: Int) -> Signals {
    let rows = batch.rows(sequence)
    func part(_ values: Vector) -> UnsafeBufferPointer<Float> { UnsafeBufferPointer(values.part(rows).buffer) }
    return Signals(
      logProbabilities: part(distribution.logProbability), entropies: part(distribution.entropy), values: part(values))
  }

  package func gradients(_ sequence: Int) -> Gradients {
    let rows = batch.rows(sequence)
    return Gradients(
      logProbabilities: dLogProbability.part(rows).buffer, entropies: dEntropy.part(rows).buffer,
      values: dValues.part(rows).buffer)
  }

  /// Adds the gradients of the loss to `gradients`, computed from `gradients(_:)` and the sequences' loss weights.
  ///
  /// - Parameter diffusion: targets and noise, with the rows of the concatenated sequences; nil without diffusion.
  package func backward(
    diffusion: ReasoningDiffusion.LossInput?, _ weights: PackedModel, into gradients: Layers.Gradients,
    _ context: Context
  ) {
    let arena = context.arena
    let dSelected = arena.zeros(selected.rows, selected.columns)
    model.head.backward(
      distribution, dLogProbability: dLogProbability, dEntropy: dEntropy, into: dSelected,
      BackwardLane(weights, gradients, context.main))
    model.backwardValues(selected, dValues: dValues, gradients)
    let dHidden = arena.zeros(trunk.hidden.rows, trunk.hidden.columns)
    for row in 0..<batch.predictors.count { dHidden[batch.predictors[row]].add(dSelected[row]) }
    model.backward(
      trunk, dHidden: dHidden,
      QuillanModel.DiffusionLosses(
        diffusion, coefficients: batch.diffusionWeights.view, into: diffusionLosses.view),
      weights, gradients, context)
  }

  /// The model's own losses of a sequence, after `backward`.
  package func losses(_ sequence: Int) -> Losses {
    Losses(auxiliary: trunk.auxiliaryLoss(sequence), diffusion: diffusionLosses[sequence])
  }
}

/// The signals of a sequence as arrays [N].
package struct SequenceSignals: Sendable {
  package let logProbabilities: [Float]
  package let entropies: [Float]
  package let values: [Float]

  package init(_ signals: SequencePass.Signals) {
    logProbabilities = Array(signals.logProbabilities)
    entropies = Array(signals.entropies)
    values = Array(signals.values)
  }

  /// Computes the signals of `sequences` without gradients, with the bits of a training pass.
  ///
  /// - Parameter weights: the complete model.
  package static func of(
    _ sequences: [TrainingSequence], _ model: QuillanModel, _ weights: PackedModel, temperature: Float,
    _ context: Context
  ) -> [SequenceSignals] {
    context.arena.scoped {
      let pass = SequencePass(
        sequences, model, weights, temperature: temperature, retention: .nothing, loads: nil, exchange: nil, context)
      return sequences.indices.map { SequenceSignals(pass.signals($0)) }
    }
  }
}
