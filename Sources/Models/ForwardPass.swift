import Layers
import LowBit
import Parameters
import Tensors

// Shapes: T tokens of the batch, d model width, z packed latents of d bits.

/// The tokens of several sequences, concatenated without padding.
public struct TokenBatch: BitwiseCopyable, Sendable {
  public let tokens: ArenaList<Int32>
  /// One span per sequence, covering the tokens in order.
  public let spans: ArenaList<Span>

  /// The batch must not outlive the lists.
  public init(tokens: ArenaList<Int32>, spans: ArenaList<Span>) {
    precondition(spans.reduce(0) { $0 + $1.count } == tokens.count, "spans do not cover \(tokens.count) tokens")
    self.tokens = tokens
    self.spans = spans
  }

  /// Copies tokens and spans into the memory of `arena`.
  public init(tokens: [Int32], spans: [Span], in arena: Arena) {
    self.init(tokens: ArenaList(tokens, in: arena), spans: ArenaList(spans, in: arena))
  }

  /// Whole sequences from position 0, copied into the memory of `arena`.
  public init(sequences: [[Int32]], in arena: Arena) {
    var tokens = ArenaList<Int32>(capacity: sequences.reduce(0) { $0 + $1.count }, in: arena)
    var spans = ArenaList<Span>(capacity: sequences.count, in: arena)
    for sequence in sequences {
      spans.append(Span(first: tokens.count, count: sequence.count))
      tokens.append(contentsOf: sequence)
    }
    self.init(tokens: tokens, spans: spans)
  }
}

/// What a forward pass keeps for the backward pass.
public enum Retention: Sendable {
  /// Nothing: sampling and evaluation.
  case nothing
  /// Everything that the backward pass reads.
  case everything
  /// Layer inputs only; the backward pass recomputes each layer (gradient checkpointing).
  case layerInputs
}

/// The part of a pass before the latents: embedding, Overseer and diffusion context.
public struct PrefixPass: Sendable {
  public let batch: TokenBatch
  /// Embeddings x₀ [T, d].
  let embedded: Matrix
  let norm: RMSNorm.Saved
  let overseer: FeedForward.Saved
  /// The coordination c [T, d].
  public let coordination: Matrix
  /// x_ctx = x₀ + overseer_scale · c [T, d].
  public let xContext: Matrix
}

/// The part of a pass from the latents to the final norm.
public struct TrunkPass: Sendable {
  public let prefix: PrefixPass
  let latents: QuantizedInput?
  /// x after the latents [T, d].
  public let afterLatents: Matrix
  /// The input of each layer and the output of the last layer [T, d]; without retention only the latter.
  public let states: ArenaList<Matrix>
  public let layers: ArenaList<TransformerLayer.Saved>
  let finalNorm: RMSNorm.Saved
  /// h = RMSNorm(x)·final_norm [T, d].
  public let hidden: Matrix
  let report: BalanceReport?
  let exchange: CouncilExchange?
  let retention: Retention

  /// L_aux of a sequence; 0 if the pass had no report.
  public func auxiliaryLoss(_ sequence: Int) -> Double { report?.auxiliaryLoss(sequence) ?? 0 }
}

extension QuillanModel {
  /// Steps 1 and 2 of the model: embedding and Overseer.
  public func prefix(_ batch: TokenBatch, _ weights: PackedModel, _ context: Context) -> PrefixPass {
    let main = ForwardLane(weights, context.main)
    let arena = context.arena
    let rows = batch.tokens.count
    let embedded = arena.matrix(rows, configuration.dim)
    let packed = weights.weights(embedding)
    for (row, token) in batch.tokens.enumerated() {
      precondition(token >= 0 && Int(token) < configuration.vocabSize, "token \(token) of \(configuration.vocabSize)")
      packed.unpack(0, rows: Int(token)..<Int(token) + 1, into: embedded.rows(row..<row + 1))
    }
    let normalized = arena.matrix(rows, configuration.dim)
    let norm = overseerNorm.forward(embedded, into: normalized, main)
    let coordination = arena.matrix(rows, configuration.dim)
    let overseerSaved = overseer.forward(
      overseer.up.input(normalized, main), offsets: Offsets(all: rows, in: arena), into: coordination, main)
    let xContext = arena.matrix(rows, configuration.dim)
    xContext.copy(from: embedded)
    xContext.add(coordination, times: configuration.overseerScale)
    return PrefixPass(
      batch: batch, embedded: embedded, norm: norm, overseer: overseerSaved, coordination: coordination,
      xContext: xContext)
  }

  /// Steps 3 to 5 up to h: latents `z` [T, ⌈d/8⌉] (nil without diffusion), layers, final norm.
  ///
  /// With `exchange`, mini-MoEs are computed on the ranks that own them. All ranks of the expert group then call
  /// `trunk` and `backward`, or `serveOtherRanks`, for their micro-batches together.
  public func trunk(
    _ prefix: PrefixPass, latents z: ArrayView<UInt8>?, caches: [KeyValueCache]? = nil,
    report: BalanceReport? = nil, exchange: CouncilExchange? = nil, retention: Retention, _ weights: PackedModel,
    _ context: Context
  ) -> TrunkPass {
    exchange?.begin(report?.terms)
    if let caches {
      for (span, cache) in zip(prefix.batch.spans, caches) {
        cache.prepare(span.position..<span.position + span.count)
      }
    }
    let layerPass = ForwardPassContext(
      council: council, spans: prefix.batch.spans, caches: caches, weights: weights, report: report,
      exchange: exchange, context: context)
    let arena = context.arena
    let (rows, dim) = (prefix.batch.tokens.count, configuration.dim)
    let afterLatents = arena.matrix(rows, dim)
    afterLatents.copy(from: prefix.xContext)
    let latentInput = addLatents(z, to: afterLatents, layerPass.main)
    if retention != .nothing {
      context.observer?.produced(prefix.embedded, "embedding", in: PassPart(.embedding))
      context.observer?.produced(prefix.coordination, "overseer", in: PassPart(.embedding))
      context.observer?.produced(afterLatents, "latents", in: PassPart(.latents))
    }
    var states = ArenaList<Matrix>(capacity: layers.count + 1, in: arena)
    var saved = ArenaList<TransformerLayer.Saved>(capacity: layers.count, in: arena)
    // Without retention the states take turns in two matrices, and afterLatents stays as it is.
    var x = afterLatents
    var spare = retention == .nothing ? arena.matrix(rows, dim) : x
    if retention == .nothing {
      let current = arena.matrix(rows, dim)
      current.copy(from: x)
      x = current
    }
    for layer in layers {
      let y = retention == .nothing ? spare : arena.matrix(rows, dim)
      let mark = arena.mark()
      func forward() -> TransformerLayer.Saved {
        layer.forward(x, coordination: prefix.coordination, into: y, layerPass)
      }
      let part = PassPart.layer(layer.index)
      let result = retention == .nothing ? forward() : context.part(part, forward)
      if retention != .nothing {
        context.observer?.produced(result.afterAttention, "attention", in: part)
        context.observer?.produced(y, "council", in: part)
      }
      switch retention {
      case .everything:
        saved.append(result)
        states.append(x)
      case .layerInputs:
        arena.release(mark)
        states.append(x)
      case .nothing:
        arena.release(mark)
        spare = x
      }
      x = y
    }
    states.append(x)
    if let report { exchange?.collect(into: report) }
    let hidden = arena.matrix(rows, dim)
    let norm = finalNorm.forward(x, into: hidden, layerPass.main)
    if retention != .nothing { context.observer?.produced(hidden, "final norm", in: PassPart(.head)) }
    return TrunkPass(
      prefix: prefix, latents: latentInput, afterLatents: afterLatents, states: states, layers: saved,
      finalNorm: norm, hidden: hidden, report: report, exchange: exchange, retention: retention)
  }

  /// x ← x + latent_scale · latent_out(2z − 1) [T, d]. Returns what backward needs; nil without diffusion.
  private func addLatents(_ z: ArrayView<UInt8>?, to x: Matrix, _ main: ForwardLane) -> QuantizedInput? {
    guard let diffusion else { return nil }
    guard let z else { preconditionFailure("a model with bit diffusion needs latents") }
    let signs = main.lane.arena.matrix(x.rows, x.columns)
    signs.setSigns(z)
    let input = diffusion.latentOut.input(signs, main)
    main.lane.scratch.scoped {
      let projected = main.lane.scratch.matrix(x.rows, x.columns)
      diffusion.latentOut.forward(input, into: projected, main)
      x.add(projected, times: configuration.latentScale)
    }
    return input
  }

  /// The rows `indices` of `x`, copied into the arena.
  public func gather(_ x: Matrix, rows indices: ArrayView<Int>, _ context: Context) -> Matrix {
    let out = context.arena.matrix(indices.count, x.columns)
    for (row, index) in indices.enumerated() { out[row].copy(from: x[index]) }
    return out
  }

  /// The diffusion losses of a backward pass: their inputs, dLoss/dL_diff of each sequence, and where L_diff of each
  /// sequence goes (zeros without diffusion).
  public struct DiffusionLosses {
    let input: ReasoningDiffusion.LossInput?
    let coefficients: ArrayView<Float>
    let values: ArrayView<Double>

    public init(
      _ input: ReasoningDiffusion.LossInput?, coefficients: ArrayView<Float>, into values: ArrayView<Double>
    ) {
      self.input = input
      self.coefficients = coefficients
      self.values = values
    }
  }

  /// Backward pass of `trunk` and `prefix`; overwrites `dHidden` [T, d]. The gradients of the diffusion losses are added
  /// at x_ctx.
  public func backward(
    _ pass: TrunkPass, dHidden: Matrix, _ losses: DiffusionLosses, _ weights: PackedModel, _ gradients: Gradients,
    _ context: Context
  ) {
    func run(_ gradients: Gradients) {
      let layerPass = BackwardPassContext(
        council: council, spans: pass.prefix.batch.spans, weights: weights, gradients: gradients,
        exchange: pass.exchange, context: context)
      backwardUnit(pass, dHidden: dHidden, losses, layerPass)
    }
    if let exchange = pass.exchange {
      exchange.unit(gradients, context, run)
    } else {
      gradients.unit(context, run)
    }
  }

  private func backwardUnit(
    _ pass: TrunkPass, dHidden: Matrix, _ losses: DiffusionLosses, _ layerPass: BackwardPassContext
  ) {
    precondition(pass.retention != .nothing, "backward of a pass that kept nothing")
    let (main, context, prefix) = (layerPass.main, layerPass.context, pass.prefix)
    let arena = context.arena
    let (rows, dim) = (dHidden.rows, configuration.dim)
    arena.scoped {
      let dx = arena.zeros(rows, dim)
      context.observer?.produced(dHidden, "loss", in: PassPart(.head, isBackward: true))
      finalNorm.backward(dHidden, pass.finalNorm, into: dx, main)
      let dCoordination = arena.zeros(rows, dim)
      backwardLayers(pass, dx, dCoordination: dCoordination, layerPass)
      if let diffusion, let latents = pass.latents {
        arena.scoped {
          let dProjected = arena.zeros(rows, dim)
          dProjected.add(dx, times: configuration.latentScale)
          diffusion.latentOut.backward(dProjected, latents, into: nil, main)
        }
      }
      losses.values.fill(0)
      if let diffusion, let input = losses.input {
        context.part(PassPart(.diffusionLoss)) {
          diffusion.loss(
            input, of: prefix, into: losses.values,
            backward: ReasoningDiffusion.LossBackward(
              coefficients: losses.coefficients, dContext: dx, gradients: layerPass.gradients),
            layerPass.weights, context)
        }
        context.observer?.produced(dx, "input", in: PassPart(.diffusionLoss, isBackward: true))
      }
      // x_ctx = x₀ + overseer_scale · c: dx goes to c scaled, and to x₀ as it is.
      dCoordination.add(dx, times: configuration.overseerScale)
      let dNormalized = arena.zeros(rows, dim)
      overseer.backward(dCoordination, prefix.overseer, into: dNormalized, main)
      overseerNorm.backward(dNormalized, prefix.norm, into: dx, main)
      context.observer?.produced(dx, "embedding", in: PassPart(.embedding, isBackward: true))
      let table = layerPass.gradients.store.rows(embedding)
      for (row, token) in prefix.batch.tokens.enumerated() { table[Int(token)].add(dx[row]) }
    }
  }

  /// Replaces the gradient of the last layer's output by that of the first layer's input, in place.
  private func backwardLayers(
    _ pass: TrunkPass, _ dx: Matrix, dCoordination: Matrix, _ layerPass: BackwardPassContext
  ) {
    let (context, prefix) = (layerPass.context, pass.prefix)
    // Recomputation counts no slot twice.
    let again = ForwardPassContext(
      council: council, spans: prefix.batch.spans, weights: layerPass.weights, report: pass.report?.silent,
      exchange: pass.exchange, context: context)
    for layer in layers.reversed() {
      let part = PassPart.layer(layer.index, isBackward: true)
      context.part(part) {
        context.arena.scoped {
          let saved: TransformerLayer.Saved
          if pass.retention == .everything {
            saved = pass.layers[layer.index]
          } else {
            saved = layer.forward(
              pass.states[layer.index], coordination: prefix.coordination,
              into: context.arena.matrix(dx.rows, dx.columns), again)
          }
          layer.backward(dx, dCoordination: dCoordination, saved, layerPass)
        }
      }
      layerPass.gradients.finish(layerParameters[layer.index])
      context.observer?.produced(dx, "input", in: part)
      context.observer?.produced(dCoordination, "coordination", in: part)
    }
  }

  /// L_diff of each sequence, without gradients.
  public func diffusionLosses(
    _ prefix: PrefixPass, _ input: ReasoningDiffusion.LossInput, _ weights: PackedModel, _ context: Context
  ) -> [Double] {
    context.arena.scoped {
      let losses = context.arena.view(repeating: 0.0, count: prefix.batch.spans.count)
      diffusion?.loss(input, of: prefix, into: losses, backward: nil, weights, context)
      return Array(losses)
    }
  }
}
