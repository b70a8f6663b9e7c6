import Foundation
import LowBit
import Parameters
import Tensors

/// Predicts the clean latent bits from noisy ones: bit-level reasoning diffusion.
///
///     h = latent_in(2z − 1) + RMSNorm(x_ctx)·context_norm + time(n)
///     h ← h + down(gelu(mid(gelu(up(RMSNorm(h)·norm)))))   for each block
///     logits = out(RMSNorm(h)·out_norm)                     that each clean bit is 1
///
/// Shapes: T positions, d model = B bits, D hidden. The noise model is that of discrete diffusion on bits
/// (Austin et al., 2021, arXiv:2107.03006, with uniform transitions).
public struct Denoiser: Sendable {
  public struct Block: Sendable {
    let norm: RMSNorm
    let up: Linear
    let mid: Linear
    let down: Linear

    public init(norm: RMSNorm, up: Linear, mid: Linear, down: Linear) {
      self.norm = norm
      self.up = up
      self.mid = mid
      self.down = down
    }
  }

  public let latentIn: Linear
  public let contextNorm: RMSNorm
  public let time: TimeEmbedding
  public let blocks: [Block]
  public let outNorm: RMSNorm
  public let out: Linear

  public init(
    latentIn: Linear, contextNorm: RMSNorm, time: TimeEmbedding, blocks: [Block], outNorm: RMSNorm, out: Linear
  ) {
    self.latentIn = latentIn
    self.contextNorm = contextNorm
    self.time = time
    self.blocks = blocks
    self.outNorm = outNorm
    self.out = out
  }

  struct BlockSaved: BitwiseCopyable, Sendable {
    /// RMSNorm(x)·norm [T, d].
    let normalized: Matrix
    let norm: RMSNorm.Saved
    let upInput: QuantizedInput
    /// Results of `up` and `mid`, and gelu of them [T, D].
    let upOutput: Matrix
    let upActivated: Matrix
    let midInput: QuantizedInput
    let midOutput: Matrix
    let midActivated: Matrix
    let downInput: QuantizedInput
  }

  /// The memory of a pass.
  public struct Saved: BitwiseCopyable, Sendable {
    /// 2z − 1 [T, d].
    let signs: Matrix
    let latents: QuantizedInput
    /// h before each block, and after the last [T, d].
    let states: ArenaList<Matrix>
    let blocks: ArenaList<BlockSaved>
    let normalized: Matrix
    let outNorm: RMSNorm.Saved
    let outInput: QuantizedInput
  }

  /// RMSNorm(x_ctx)·context_norm [T, d], shared by every denoising step of the same positions.
  public func normalizedContext(_ xContext: Matrix, _ pass: ForwardLane) -> (Matrix, RMSNorm.Saved) {
    let normalized = pass.arena.matrix(xContext.rows, xContext.columns)
    return (normalized, contextNorm.forward(xContext, into: normalized, pass))
  }

  /// Writes logits [T, d] for packed bits z [T, ⌈d/8⌉] at noise levels n [T].
  ///
  /// - Parameter context: the result of `normalizedContext`.
  public func forward(
    _ z: ArrayView<UInt8>, context: Matrix, levels: ArrayView<Int32>, into logits: Matrix, _ pass: ForwardLane
  ) -> Saved {
    let saved = prepared(rows: context.rows, dim: context.columns, pass)
    self.pool(rows: context.rows, pass).region { pool in
      forward(z, context: context, levels: levels, into: logits, saved, pass.weights, pool)
    }
    return saved
  }

  /// The pool limited to as many threads as the largest product of `rows` positions justifies.
  public func pool(rows: Int, _ pass: ForwardLane) -> WorkerPool {
    let width = blocks.first.map { pass.weights.weights($0.mid.weight).rows } ?? 0
    return pass.pool.limited(multiplyAdds: rows * width * width)
  }

  /// Memory for a pass over `rows` positions, which may be used for several passes one after another.
  public func prepared(rows: Int, dim: Int, _ pass: ForwardLane) -> Saved {
    let (arena, weights) = (pass.arena, pass.weights)
    var states = ArenaList<Matrix>(capacity: blocks.count + 1, in: arena)
    var saved = ArenaList<BlockSaved>(capacity: blocks.count, in: arena)
    for _ in 0...blocks.count { states.append(arena.matrix(rows, dim)) }
    for (index, block) in blocks.enumerated() {
      let (up, mid) = (weights.weights(block.up.weight), weights.weights(block.mid.weight))
      let normalized = arena.matrix(rows, dim)
      let (upOutput, upActivated) = (arena.matrix(rows, up.rows), arena.matrix(rows, up.rows))
      let (midOutput, midActivated) = (arena.matrix(rows, mid.rows), arena.matrix(rows, mid.rows))
      saved.append(
        BlockSaved(
          normalized: normalized, norm: block.norm.prepared(states[index], in: arena),
          upInput: QuantizedInput(of: normalized, for: up, in: arena), upOutput: upOutput, upActivated: upActivated,
          midInput: QuantizedInput(of: upActivated, for: mid, in: arena), midOutput: midOutput,
          midActivated: midActivated,
          downInput: QuantizedInput(of: midActivated, for: weights.weights(block.down.weight), in: arena)))
    }
    let (signs, normalized) = (arena.matrix(rows, dim), arena.matrix(rows, dim))
    return Saved(
      signs: signs, latents: QuantizedInput(of: signs, for: weights.weights(latentIn.weight), in: arena),
      states: states, blocks: saved, normalized: normalized,
      outNorm: outNorm.prepared(states[blocks.count], in: arena),
      outInput: QuantizedInput(of: normalized, for: weights.weights(out.weight), in: arena))
  }

  /// The pass as stages of a region: products, and between them whatever is row by row. Allocates nothing.
  public func forward(
    _ z: ArrayView<UInt8>, context: Matrix, levels: ArrayView<Int32>, into logits: Matrix, _ saved: Saved,
    _ weights: PackedModel, _ pool: WorkerPool
  ) {
    let (rows, dim) = (context.rows, context.columns)
    let bytes = (dim + 7) / 8
    let perRow = LoopCost.reduced(2 * dim)
    pool.split(rows, cost: perRow) { _, range in
      saved.signs.rows(range).setSigns(z.part(range.lowerBound * bytes..<range.upperBound * bytes))
      saved.latents.set(range, from: saved.signs)
    }
    latentIn.forward(saved.latents, into: saved.states[0], weights, pool)
    for (index, block) in blocks.enumerated() {
      let work = saved.blocks[index]
      pool.split(rows, cost: perRow) { _, range in
        complete(index, range, context: context, levels: levels, saved, weights)
        block.norm.forward(work.norm, rows: range, into: work.normalized, weights)
        work.upInput.set(range, from: work.normalized)
      }
      block.up.forward(work.upInput, into: work.upOutput, weights, pool)
      activate(work.upOutput, into: work.upActivated, work.midInput, pool)
      block.mid.forward(work.midInput, into: work.midOutput, weights, pool)
      activate(work.midOutput, into: work.midActivated, work.downInput, pool)
      block.down.forward(work.downInput, into: saved.states[index + 1], weights, pool)
    }
    pool.split(rows, cost: perRow) { _, range in
      complete(blocks.count, range, context: context, levels: levels, saved, weights)
      outNorm.forward(saved.outNorm, rows: range, into: saved.normalized, weights)
      saved.outInput.set(range, from: saved.normalized)
    }
    out.forward(saved.outInput, into: logits, weights, pool)
  }

  /// Adds what belongs to rows of h besides the product before block `index`: context and time, or the block's input.
  private func complete(
    _ index: Int, _ rows: Range<Int>, context: Matrix, levels: ArrayView<Int32>, _ saved: Saved,
    _ weights: PackedModel
  ) {
    let h = saved.states[index]
    guard index == 0 else { return h.rows(rows).add(saved.states[index - 1].rows(rows)) }
    let table = time.table(weights)
    for row in rows {
      h[row].add(context[row])
      h[row].add(table[Int(levels[row])])
    }
  }

  /// gelu(x), and its rows as the input of the next product.
  private func activate(_ x: Matrix, into y: Matrix, _ input: QuantizedInput, _ pool: WorkerPool) {
    pool.split(x.rows, cost: .transcendental(x.columns)) { _, range in
      x.rows(range).gelu(into: y.rows(range), WorkerPool(threads: 1))
      input.set(range, from: y)
    }
  }

  /// Adds the gradient with respect to x_ctx to `dContext`, and the gradients of the parameters.
  public func backward(
    _ dLogits: Matrix, _ saved: Saved, levels: ArrayView<Int32>, contextSaved: RMSNorm.Saved, into dContext: Matrix,
    _ pass: BackwardLane
  ) {
    let scratch = pass.scratch
    scratch.scoped {
      let (rows, dim) = (dLogits.rows, dLogits.columns)
      let dh = scratch.zeros(rows, dim)
      scratch.scoped {
        let dNormalized = scratch.zeros(rows, dim)
        out.backward(dLogits, saved.outInput, into: dNormalized, pass)
        outNorm.backward(dNormalized, saved.outNorm, into: dh, pass)
      }
      for index in blocks.indices.reversed() {
        let (block, saved) = (blocks[index], saved.blocks[index])
        scratch.scoped {
          let dMid = scratch.zeros(rows, saved.midOutput.columns)
          block.down.backward(dh, saved.downInput, into: dMid, pass)
          saved.midOutput.geluBackward(dMid, pass.pool)
          let dUp = scratch.zeros(rows, saved.upOutput.columns)
          block.mid.backward(dMid, saved.midInput, into: dUp, pass)
          saved.upOutput.geluBackward(dUp, pass.pool)
          let dNormalized = scratch.zeros(rows, dim)
          block.up.backward(dUp, saved.upInput, into: dNormalized, pass)
          block.norm.backward(dNormalized, saved.norm, into: dh, pass)
        }
      }
      latentIn.backward(dh, saved.latents, into: nil, pass)
      contextNorm.backward(dh, contextSaved, into: dContext, pass)
      time.backward(dh, levels: levels, pass)
    }
  }
}
