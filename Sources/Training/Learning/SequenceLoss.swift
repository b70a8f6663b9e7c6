import Layers
import LowBit
import Models
import Parameters
import Tensors

/// Forward, a loss on chosen tokens, backward: the core that reinforcement and pre-training share.
public struct SequenceLoss: Sendable {
  /// One whole sequence of a micro-batch.
  public struct Sequence: Sendable {
    public var tokens: [Int32]
    /// Positions whose tokens the loss is about, ascending and above 0; each is predicted from the one before.
    public var positions: [Int]
    /// Packed latents of every position; empty without diffusion.
    public var latents: [UInt8]
    /// dLoss/dL_aux and dLoss/dL_diff of the sequence.
    public var auxiliaryWeight: Float
    public var diffusionWeight: Float

    public init(
      tokens: [Int32], positions: [Int], latents: [UInt8], auxiliaryWeight: Float, diffusionWeight: Float
    ) {
      self.tokens = tokens
      self.positions = positions
      self.latents = latents
      self.auxiliaryWeight = auxiliaryWeight
      self.diffusionWeight = diffusionWeight
    }
  }

  /// What the model says about a sequence's chosen tokens.
  public struct Signals: Sendable {
    public let logProbabilities: [Float]
    public let entropies: [Float]
    public let values: [Float]
  }

  /// What the model says about a sequence's chosen tokens, and where the gradients of the loss with respect to it go,
  /// which are 0 before; in memory of the pass, valid during the call that gets it.
  public struct Evaluation {
    public let logProbabilities: UnsafeBufferPointer<Float>
    public let entropies: UnsafeBufferPointer<Float>
    public let values: UnsafeBufferPointer<Float>
    public let logProbabilityGradients: UnsafeMutableBufferPointer<Float>
    public let entropyGradients: UnsafeMutableBufferPointer<Float>
    public let valueGradients: UnsafeMutableBufferPointer<Float>
  }

  /// What the model adds to a sequence's loss.
  public struct Losses {
    /// L_aux.
    public let auxiliary: Double
    /// L_diff.
    public let diffusion: Double
  }

  public let model: QuillanModel
  public let temperature: Float
  public let retention: Retention
  /// Where mini-MoEs are on several ranks; all of the expert group then call `accumulate` equally often.
  public let exchange: CouncilExchange?

  public init(model: QuillanModel, temperature: Float, retention: Retention, exchange: CouncilExchange? = nil) {
    self.exchange = exchange
    self.model = model
    self.temperature = temperature
    self.retention = retention
  }

  /// Adds the gradients of the sequences' losses and their routed slots to `loads`. Allocates nothing once the arenas
  /// have grown.
  ///
  /// - Parameters:
  ///   - sequences: none where this rank takes part in a micro-batch of others.
  ///   - diffusion: targets and noise, rows as in the concatenated sequences; nil without diffusion.
  ///   - evaluate: called once for each sequence, in order, before the backward pass.
  ///   - losses: called once for each sequence, in order, after it; what `evaluate` got is still valid then.
  public func accumulate(
    _ sequences: some RandomAccessCollection<Sequence>, diffusion: ReasoningDiffusion.LossInput?,
    _ weights: PackedModel, _ gradients: Gradients, loads: RoutingLoads, _ context: Context,
    evaluate: (Int, Evaluation) -> Void, losses: (Int, Losses) -> Void
  ) {
    if sequences.isEmpty {
      if let exchange {
        model.serveOtherRanks(exchange, loads: loads, retention: retention, weights, gradients, context)
      }
      return
    }
    let arena = context.arena
    arena.scoped {
      let batch = Batch(sequences, in: arena)
      let pass = forward(batch, retention: retention, loads: loads, weights, context)
      let rows = batch.predictors.count
      let selected = model.gather(pass.hidden, rows: batch.predictors.view, context)
      let lane = ForwardLane(weights, context.main)
      let distribution = model.head.forward(
        model.head.input(selected, lane), targets: batch.targets.view, temperature: temperature, lane)
      let values = arena.vector(rows)
      model.values(selected, weights, into: values)

      let dLogProbability = arena.view(repeating: Float(0), count: rows)
      let dEntropy = arena.view(repeating: Float(0), count: rows)
      let dValues = arena.view(repeating: Float(0), count: rows)
      for index in batch.tokens.spans.indices {
        let range = batch.rows(index)
        func part(_ numbers: Vector) -> UnsafeMutableBufferPointer<Float> { numbers.part(range).buffer }
        evaluate(
          index,
          Evaluation(
            logProbabilities: UnsafeBufferPointer(part(distribution.logProbability)),
            entropies: UnsafeBufferPointer(part(distribution.entropy)), values: UnsafeBufferPointer(part(values)),
            logProbabilityGradients: part(dLogProbability), entropyGradients: part(dEntropy),
            valueGradients: part(dValues)))
      }

      let dSelected = arena.zeros(selected.rows, selected.columns)
      model.head.backward(
        distribution, dLogProbability: dLogProbability, dEntropy: dEntropy, into: dSelected,
        BackwardLane(weights, gradients, context.main))
      model.backwardValues(selected, dValues: dValues, gradients)
      let dHidden = arena.zeros(pass.hidden.rows, pass.hidden.columns)
      for row in 0..<rows { dHidden[batch.predictors[row]].add(dSelected[row]) }
      let diffusionLosses = ArenaList<Double>(repeating: 0, count: sequences.count, in: arena)
      model.backward(
        pass, dHidden: dHidden,
        QuillanModel.DiffusionLosses(
          diffusion, coefficients: batch.diffusionWeights.view, into: diffusionLosses.view),
        weights, gradients, context)
      for index in diffusionLosses.indices {
        losses(index, Losses(auxiliary: pass.auxiliaryLoss(index), diffusion: diffusionLosses[index]))
      }
    }
  }

  /// The signals alone, without gradients: the same bits as `accumulate` sees. Without an exchange, `weights` must be
  /// whole.
  public func signals(_ sequences: [Sequence], _ weights: PackedModel, _ context: Context) -> [Signals] {
    context.arena.scoped {
      let batch = Batch(sequences, in: context.arena)
      let pass = forward(batch, retention: .nothing, loads: nil, weights, context)
      let selected = model.gather(pass.hidden, rows: batch.predictors.view, context)
      let lane = ForwardLane(weights, context.main)
      let distribution = model.head.forward(
        model.head.input(selected, lane), targets: batch.targets.view, temperature: temperature, lane)
      let values = context.arena.vector(selected.rows)
      model.values(selected, weights, into: values)
      return sequences.indices.map { index in
        let range = batch.rows(index)
        return Signals(
          logProbabilities: range.map { distribution.logProbability[$0] },
          entropies: range.map { distribution.entropy[$0] }, values: range.map { values[$0] })
      }
    }
  }

  private func forward(
    _ batch: Batch, retention: Retention, loads: RoutingLoads?, _ weights: PackedModel, _ context: Context
  ) -> TrunkPass {
    let report = loads.map {
      BalanceReport(
        terms: BalanceTerms(
          lengths: batch.lengths, coefficients: batch.auxiliaryWeights, layers: model.layers.count),
        members: model.council.members.count, loads: $0, in: context.arena)
    }
    return model.trunk(
      model.prefix(batch.tokens, weights, context), latents: model.diffusion == nil ? nil : batch.latents.view,
      report: report, exchange: exchange, retention: retention, weights, context)
  }

  /// Sequences one after another, in an arena's memory.
  private struct Batch {
    let tokens: TokenBatch
    let latents: ArenaList<UInt8>
    let lengths: ArenaList<Int>
    let auxiliaryWeights: ArenaList<Float>
    let diffusionWeights: ArenaList<Float>
    /// The rows that predict the chosen tokens, and these.
    let predictors: ArenaList<Int>
    let targets: ArenaList<Int32>
    /// Where each sequence's predictors end.
    private let ends: ArenaList<Int>

    init(_ sequences: some RandomAccessCollection<Sequence>, in arena: Arena) {
      let count = sequences.count
      var tokens = ArenaList<Int32>(capacity: sequences.reduce(0) { $0 + $1.tokens.count }, in: arena)
      var spans = ArenaList<Span>(capacity: count, in: arena)
      var latents = ArenaList<UInt8>(capacity: sequences.reduce(0) { $0 + $1.latents.count }, in: arena)
      var lengths = ArenaList<Int>(capacity: count, in: arena)
      var auxiliaryWeights = ArenaList<Float>(capacity: count, in: arena)
      var diffusionWeights = ArenaList<Float>(capacity: count, in: arena)
      let rows = sequences.reduce(0) { $0 + $1.positions.count }
      var predictors = ArenaList<Int>(capacity: rows, in: arena)
      var targets = ArenaList<Int32>(capacity: rows, in: arena)
      var ends = ArenaList<Int>(capacity: count, in: arena)
      for sequence in sequences {
        for position in sequence.positions {
          predictors.append(tokens.count + position - 1)
          targets.append(sequence.tokens[position])
        }
        ends.append(predictors.count)
        spans.append(Span(first: tokens.count, count: sequence.tokens.count))
        tokens.append(contentsOf: sequence.tokens)
        latents.append(contentsOf: sequence.latents)
        lengths.append(sequence.tokens.count)
        auxiliaryWeights.append(sequence.auxiliaryWeight)
        diffusionWeights.append(sequence.diffusionWeight)
      }
      self.tokens = TokenBatch(tokens: tokens, spans: spans)
      self.latents = latents
      self.lengths = lengths
      self.auxiliaryWeights = auxiliaryWeights
      self.diffusionWeights = diffusionWeights
      self.predictors = predictors
      self.targets = targets
      self.ends = ends
    }

    /// Where the predictors of a sequence stand.
    func rows(_ sequence: Int) -> Range<Int> { (sequence == 0 ? 0 : ends[sequence - 1])..<ends[sequence] }
  }
}
