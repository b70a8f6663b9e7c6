import CKernels
import Layers
import LowBit
import Parameters
import Tensors

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
  let offsets: Offsets
  /// The coordination c [T, d].
  public let coordination: Matrix
  /// x_ctx = x₀ + overseer_scale · c [T, d].
  public let xContext: Matrix
}

/// The part of a pass from the latents to the final norm.
public struct TrunkPass: @unchecked Sendable {
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
    let lane = context.main
    let rows = batch.tokens.count
    let embedded = lane.arena.matrix(rows, configuration.dim)
    let packed = weights.weights(embedding)
    for (row, token) in batch.tokens.enumerated() {
      precondition(token >= 0 && Int(token) < configuration.vocabSize, "token \(token) of \(configuration.vocabSize)")
      packed.unpack(0, rows: Int(token)..<Int(token) + 1, into: embedded.row(row))
    }
    let normalized = lane.arena.matrix(rows, configuration.dim)
    let norm = overseerNorm.forward(embedded, weights, into: normalized, lane)
    let offsets = Offsets(all: rows, in: lane.arena)
    let coordination = lane.arena.matrix(rows, configuration.dim)
    let overseerSaved = overseer.forward(
      overseer.up.input(normalized, weights, lane), offsets: offsets, weights, into: coordination, lane)
    let xContext = lane.arena.matrix(rows, configuration.dim)
    xContext.copy(from: embedded)
    Kernels.table.pointee.add_scaled(
      Int64(xContext.count), configuration.overseerScale, coordination.pointer, xContext.pointer)
    return PrefixPass(
      batch: batch, embedded: embedded, norm: norm, overseer: overseerSaved, offsets: offsets,
      coordination: coordination, xContext: xContext)
  }

  /// Steps 3 to 5 up to h: latents `z` [T, ⌈d/8⌉] (nil without diffusion), layers, final norm.
  ///
  /// With `exchange`, mini-MoEs are computed on the ranks that own them. All ranks of the expert group then call
  /// `trunk` and `backward`, or `assist`, for their micro-batches together.
  public func trunk(
    _ prefix: PrefixPass, latents z: UnsafePointer<UInt8>?, caches: [KeyValueCache]? = nil,
    report: BalanceReport? = nil, exchange: CouncilExchange? = nil, retention: Retention, _ weights: PackedModel,
    _ context: Context
  ) -> TrunkPass {
    exchange?.begin(report?.terms)
    let lane = context.main
    let arena = lane.arena
    let rows = prefix.batch.tokens.count
    let dim = configuration.dim
    let afterLatents = arena.matrix(rows, dim)
    afterLatents.copy(from: prefix.xContext)
    var latentInput: QuantizedInput?
    if let diffusion {
      guard let z else { preconditionFailure("a model with bit diffusion needs latents") }
      let input = diffusion.latentOut.input(signs(z, rows: rows, bits: dim, in: arena), weights, lane)
      lane.scratch.scoped {
        let projected = lane.scratch.matrix(rows, dim)
        diffusion.latentOut.forward(input, weights, into: projected, lane)
        Kernels.table.pointee.add_scaled(
          Int64(projected.count), configuration.latentScale, projected.pointer, afterLatents.pointer)
      }
      latentInput = input
    }
    if retention != .nothing {
      context.observer?.produced(prefix.embedded, "embedding", in: PassPart(.embedding))
      context.observer?.produced(prefix.coordination, "overseer", in: PassPart(.embedding))
      context.observer?.produced(afterLatents, "latents", in: PassPart(.latents))
    }
    var states = ArenaList<Matrix>(capacity: layers.count + 1, in: arena)
    var saved = ArenaList<TransformerLayer.Saved>(capacity: layers.count, in: arena)
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
        layer.forward(
          x, coordination: prefix.coordination, council: council, spans: prefix.batch.spans, caches: caches, weights,
          report: report, exchange: exchange, into: y, context)
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
    let norm = finalNorm.forward(x, weights, into: hidden, lane)
    if retention != .nothing { context.observer?.produced(hidden, "final norm", in: PassPart(.head)) }
    return TrunkPass(
      prefix: prefix, latents: latentInput, afterLatents: afterLatents, states: states, layers: saved,
      finalNorm: norm, hidden: hidden, report: report, exchange: exchange, retention: retention)
  }

  /// The `count` rows `indices` of `x`, copied into the arena.
  public func gather(_ x: Matrix, rows indices: UnsafePointer<Int>, count: Int, _ context: Context) -> Matrix {
    let out = context.arena.matrix(count, x.columns)
    for row in 0..<count { out.row(row).update(from: x.row(indices[row]), count: x.columns) }
    return out
  }

  /// Backward pass of `trunk` and `prefix`; overwrites `dHidden` [T, d]. With `diffusionLoss`, the gradients of the
  /// diffusion losses are added at x_ctx, and `diffusionLosses` receives L_diff of each sequence (zeros without
  /// diffusion).
  ///
  /// - Parameter diffusionCoefficients: dLoss/dL_diff of each sequence.
  public func backward(
    _ pass: TrunkPass, dHidden: Matrix, diffusionLoss: ReasoningDiffusion.LossInput?,
    diffusionCoefficients: UnsafePointer<Float>, diffusionLosses: UnsafeMutablePointer<Double>,
    _ weights: PackedModel, _ gradients: Gradients, _ context: Context
  ) {
    func run(_ gradients: Gradients) {
      backwardUnit(
        pass, dHidden: dHidden, diffusionLoss: diffusionLoss, diffusionCoefficients: diffusionCoefficients,
        diffusionLosses: diffusionLosses, weights, gradients, context)
    }
    if let exchange = pass.exchange {
      exchange.unit(gradients, context, run)
    } else {
      gradients.unit(context, run)
    }
  }

  private func backwardUnit(
    _ pass: TrunkPass, dHidden: Matrix, diffusionLoss: ReasoningDiffusion.LossInput?,
    diffusionCoefficients: UnsafePointer<Float>, diffusionLosses: UnsafeMutablePointer<Double>,
    _ weights: PackedModel, _ gradients: Gradients, _ context: Context
  ) {
    precondition(pass.retention != .nothing, "backward of a pass that kept nothing")
    let lane = context.main
    let arena = lane.arena
    let rows = dHidden.rows
    let dim = configuration.dim
    let prefix = pass.prefix
    arena.scoped {
      let dx = arena.zeros(rows, dim)
      context.observer?.produced(dHidden, "loss", in: PassPart(.head, isBackward: true))
      finalNorm.backward(dHidden, pass.finalNorm, weights, gradients, into: dx)
      let dCoordination = arena.zeros(rows, dim)
      for layer in layers.reversed() {
        let part = PassPart.layer(layer.index, isBackward: true)
        context.part(part) {
          arena.scoped {
            let saved: TransformerLayer.Saved
            if pass.retention == .everything {
              saved = pass.layers[layer.index]
            } else {
              saved = layer.forward(
                pass.states[layer.index], coordination: prefix.coordination, council: council,
                spans: prefix.batch.spans, caches: nil, weights, report: pass.report?.silent,
                exchange: pass.exchange, into: arena.matrix(rows, dim), context)
            }
            layer.backward(
              dx, dCoordination: dCoordination, saved, council: council, spans: prefix.batch.spans, weights,
              gradients, exchange: pass.exchange, context)
          }
        }
        gradients.finish(layerParameters[layer.index])
        context.observer?.produced(dx, "input", in: part)
        context.observer?.produced(dCoordination, "coordination", in: part)
      }
      if let diffusion, let latents = pass.latents {
        arena.scoped {
          let dProjected = arena.zeros(rows, dim)
          Kernels.table.pointee.add_scaled(
            Int64(dx.count), configuration.latentScale, dx.pointer, dProjected.pointer)
          diffusion.latentOut.backward(dProjected, latents, weights, gradients, into: nil, lane)
        }
      }
      diffusionLosses.update(repeating: 0, count: prefix.batch.spans.count)
      if let diffusion, let diffusionLoss {
        context.part(PassPart(.diffusionLoss)) {
          diffusion.loss(
            diffusionLoss, coefficients: diffusionCoefficients, xContext: prefix.xContext,
            spans: prefix.batch.spans, weights, gradients, into: dx, losses: diffusionLosses, context)
        }
        context.observer?.produced(dx, "input", in: PassPart(.diffusionLoss, isBackward: true))
      }
      Kernels.table.pointee.add_scaled(
        Int64(dx.count), configuration.overseerScale, dx.pointer, dCoordination.pointer)
      let dNormalized = arena.zeros(rows, dim)
      overseer.backward(
        dCoordination, prefix.overseer, offsets: prefix.offsets, weights, gradients, into: dNormalized, lane)
      overseerNorm.backward(dNormalized, prefix.norm, weights, gradients, into: dx)
      context.observer?.produced(dx, "embedding", in: PassPart(.embedding, isBackward: true))
      let table = gradients.store.pointer(embedding)
      for (row, token) in prefix.batch.tokens.enumerated() {
        Kernels.table.pointee.add_scaled(Int64(dim), 1, dx.row(row), table + Int(token) * dim)
      }
    }
  }

  /// L_diff of each sequence, without gradients.
  public func diffusionLosses(
    _ prefix: PrefixPass, _ input: ReasoningDiffusion.LossInput, _ weights: PackedModel, _ context: Context
  ) -> [Double] {
    var losses = [Double](repeating: 0, count: prefix.batch.spans.count)
    diffusion?.loss(
      input, coefficients: nil, xContext: prefix.xContext, spans: prefix.batch.spans, weights, nil, into: nil,
      losses: &losses, context)
    return losses
  }
}
