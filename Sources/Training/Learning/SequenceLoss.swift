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

  /// The gradients of the loss with respect to `Signals`.
  public struct SignalGradients: Sendable {
    public var logProbabilities: [Float]
    public var entropies: [Float]
    public var values: [Float]

    public init(logProbabilities: [Float], entropies: [Float], values: [Float]) {
      self.logProbabilities = logProbabilities
      self.entropies = entropies
      self.values = values
    }
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

  /// Adds the gradients of the sequences' losses and their routed slots to `loads`; `evaluate(i, signals)` is called
  /// once for each sequence, in order.
  ///
  /// - Parameters:
  ///   - sequences: none where this rank takes part in a micro-batch of others.
  ///   - diffusion: targets and noise, rows as in the concatenated sequences; nil without diffusion.
  /// - Returns: L_aux and L_diff of each sequence.
  public func accumulate(
    _ sequences: [Sequence], diffusion: ReasoningDiffusion.LossInput?, _ weights: PackedModel, _ gradients: Gradients,
    loads: RoutingLoads, _ context: Context, evaluate: (Int, Signals) -> SignalGradients
  ) -> (auxiliary: [Double], diffusion: [Double]) {
    if sequences.isEmpty {
      if let exchange {
        model.assist(exchange, loads: loads, retention: retention, weights, gradients, context)
      }
      return ([], [])
    }
    return context.arena.scoped {
      let pass = forward(sequences, retention: retention, loads: loads, weights, context)
      let rows = Rows(sequences, pass.prefix.batch)
      let selected = model.gather(pass.hidden, rows: rows.predictors, context)
      let input = model.head.input(selected, weights, context.main)
      let distribution = model.head.forward(
        input, targets: rows.targets, temperature: temperature, weights, context.main)
      let values = context.arena.allocate(Float.self, selected.rows)
      model.values(selected, weights, into: values)

      var dLogProbability: [Float] = []
      var dEntropy: [Float] = []
      var dValues: [Float] = []
      for (index, range) in rows.ranges.enumerated() {
        let outcome = evaluate(index, signals(distribution, values, range))
        precondition(
          outcome.logProbabilities.count == range.count && outcome.entropies.count == range.count
            && outcome.values.count == range.count, "gradients of other than sequence \(index)'s \(range.count) tokens")
        dLogProbability += outcome.logProbabilities
        dEntropy += outcome.entropies
        dValues += outcome.values
      }

      let dSelected = context.arena.zeros(selected.rows, selected.columns)
      model.head.backward(
        input, targets: rows.targets, temperature: temperature, distribution, dLogProbability: dLogProbability,
        dEntropy: dEntropy, weights, gradients, into: dSelected, context.main)
      model.backwardValues(selected, dValues: dValues, gradients)
      let dHidden = context.arena.zeros(pass.hidden.rows, pass.hidden.columns)
      for (row, target) in rows.predictors.enumerated() {
        Kernels.table.pointee.add_scaled(Int64(dHidden.columns), 1, dSelected.row(row), dHidden.row(target))
      }
      var lossInput = diffusion
      lossInput?.coefficients = sequences.map(\.diffusionWeight)
      var diffusionLosses = [Double](repeating: 0, count: sequences.count)
      model.backward(
        pass, dHidden: dHidden, diffusionLoss: lossInput, diffusionLosses: &diffusionLosses, weights, gradients,
        context)
      return (pass.auxiliaryLosses, diffusionLosses)
    }
  }

  /// The signals alone, without gradients: the same bits as `accumulate` sees. Without an exchange, `weights` must be
  /// whole.
  public func signals(_ sequences: [Sequence], _ weights: PackedModel, _ context: Context) -> [Signals] {
    context.arena.scoped {
      let pass = forward(sequences, retention: .nothing, loads: nil, weights, context)
      let rows = Rows(sequences, pass.prefix.batch)
      let selected = model.gather(pass.hidden, rows: rows.predictors, context)
      let distribution = model.head.forward(
        model.head.input(selected, weights, context.main), targets: rows.targets, temperature: temperature, weights,
        context.main)
      let values = context.arena.allocate(Float.self, selected.rows)
      model.values(selected, weights, into: values)
      return rows.ranges.map { signals(distribution, values, $0) }
    }
  }

  private func signals(
    _ distribution: LanguageModelHead.Distribution, _ values: UnsafePointer<Float>, _ range: Range<Int>
  ) -> Signals {
    Signals(
      logProbabilities: range.map { distribution.logProbability[$0] },
      entropies: range.map { distribution.entropy[$0] }, values: range.map { values[$0] })
  }

  private func forward(
    _ sequences: [Sequence], retention: Retention, loads: RoutingLoads?, _ weights: PackedModel, _ context: Context
  ) -> TrunkPass {
    let batch = TokenBatch(sequences: sequences.map(\.tokens))
    let report = loads.map {
      BalanceReport(
        terms: BalanceTerms(
          lengths: sequences.map(\.tokens.count), coefficients: sequences.map(\.auxiliaryWeight),
          layers: model.layers.count),
        sequenceOfToken: batch.sequenceOfToken, members: model.council.members.count, loads: $0)
    }
    let prefix = model.prefix(batch, weights, context)
    return sequences.flatMap(\.latents).withUnsafeBufferPointer {
      model.trunk(
        prefix, latents: model.diffusion == nil ? nil : $0.baseAddress, report: report, exchange: exchange,
        retention: retention, weights, context)
    }
  }

  /// Which rows of the batch predict the chosen tokens.
  private struct Rows {
    var predictors: [Int] = []
    var targets: [Int32] = []
    var ranges: [Range<Int>] = []

    init(_ sequences: [Sequence], _ batch: TokenBatch) {
      for (sequence, span) in zip(sequences, batch.spans) {
        let start = predictors.count
        for position in sequence.positions {
          predictors.append(span.first + position - 1)
          targets.append(sequence.tokens[position])
        }
        ranges.append(start..<predictors.count)
      }
    }
  }
}
