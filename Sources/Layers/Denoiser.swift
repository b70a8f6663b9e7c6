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
    let norm: RMSNorm.Saved
    let upInput: QuantizedInput
    let upOutput: Matrix
    let midInput: QuantizedInput
    let midOutput: Matrix
    let downInput: QuantizedInput
  }

  public struct Saved: BitwiseCopyable, @unchecked Sendable {
    let latents: QuantizedInput
    let steps: UnsafePointer<Int32>
    let blocks: ArenaList<BlockSaved>
    let outNorm: RMSNorm.Saved
    let outInput: QuantizedInput
  }

  /// RMSNorm(x_ctx)·context_norm, shared by every denoising step of the same positions.
  public func context(_ xContext: Matrix, _ weights: PackedModel, _ lane: Lane) -> (Matrix, RMSNorm.Saved) {
    let normalized = lane.arena.matrix(xContext.rows, xContext.columns)
    let saved = contextNorm.forward(xContext, weights, into: normalized, lane)
    return (normalized, saved)
  }

  /// Writes logits [T, d] for packed bits z (⌈d/8⌉ bytes a row) at noise levels `steps` [T].
  public func forward(
    _ z: UnsafePointer<UInt8>, context: Matrix, steps: UnsafePointer<Int32>, _ weights: PackedModel,
    into logits: Matrix, _ lane: Lane
  ) -> Saved {
    let arena = lane.arena
    let rows = context.rows
    let dim = context.columns
    let latents = latentIn.input(signs(z, rows: rows, bits: dim, in: arena), weights, lane)
    let h = arena.matrix(rows, dim)
    latentIn.forward(latents, weights, into: h, lane)
    let table = time.table(weights)
    for row in 0..<rows {
      Kernels.table.pointee.add_scaled(Int64(dim), 1, context.row(row), h.row(row))
      Kernels.table.pointee.add_scaled(Int64(dim), 1, table + Int(steps[row]) * dim, h.row(row))
    }
    var saved = ArenaList<BlockSaved>(capacity: blocks.count, in: arena)
    var x = h
    for block in blocks {
      let normalized = arena.matrix(rows, dim)
      let norm = block.norm.forward(x, weights, into: normalized, lane)
      let upInput = block.up.input(normalized, weights, lane)
      let upOutput = arena.matrix(rows, weights.weights(block.up.weight).rows)
      block.up.forward(upInput, weights, into: upOutput, lane)
      let midInput = block.mid.input(activated(upOutput, lane), weights, lane)
      let midOutput = arena.matrix(rows, weights.weights(block.mid.weight).rows)
      block.mid.forward(midInput, weights, into: midOutput, lane)
      let downInput = block.down.input(activated(midOutput, lane), weights, lane)
      let next = arena.matrix(rows, dim)
      block.down.forward(downInput, weights, into: next, lane)
      Kernels.table.pointee.add_scaled(Int64(next.count), 1, x.pointer, next.pointer)
      x = next
      saved.append(
        BlockSaved(
          norm: norm, upInput: upInput, upOutput: upOutput, midInput: midInput, midOutput: midOutput,
          downInput: downInput))
    }
    let normalized = arena.matrix(rows, dim)
    let outNormSaved = outNorm.forward(x, weights, into: normalized, lane)
    let outInput = out.input(normalized, weights, lane)
    out.forward(outInput, weights, into: logits, lane)
    return Saved(latents: latents, steps: steps, blocks: saved, outNorm: outNormSaved, outInput: outInput)
  }

  /// Adds the gradient with respect to x_ctx to `dContext`, and the gradients of the parameters.
  public func backward(
    _ dLogits: Matrix, _ saved: Saved, contextSaved: RMSNorm.Saved, _ weights: PackedModel, _ gradients: Gradients,
    into dContext: Matrix, _ lane: Lane
  ) {
    let scratch = lane.scratch
    scratch.scoped {
      let rows = dLogits.rows
      let dim = dLogits.columns
      let dh = scratch.zeros(rows, dim)
      scratch.scoped {
        let dNormalized = scratch.zeros(rows, dim)
        out.backward(dLogits, saved.outInput, weights, gradients, into: dNormalized, lane)
        outNorm.backward(dNormalized, saved.outNorm, weights, gradients, into: dh)
      }
      for index in blocks.indices.reversed() {
        let (block, saved) = (blocks[index], saved.blocks[index])
        scratch.scoped {
          let dMid = scratch.zeros(rows, saved.midOutput.columns)
          block.down.backward(dh, saved.downInput, weights, gradients, into: dMid, lane)
          activationGradient(saved.midOutput, dMid, lane)
          let dUp = scratch.zeros(rows, saved.upOutput.columns)
          block.mid.backward(dMid, saved.midInput, weights, gradients, into: dUp, lane)
          activationGradient(saved.upOutput, dUp, lane)
          let dNormalized = scratch.zeros(rows, dim)
          block.up.backward(dUp, saved.upInput, weights, gradients, into: dNormalized, lane)
          block.norm.backward(dNormalized, saved.norm, weights, gradients, into: dh)
        }
      }
      latentIn.backward(dh, saved.latents, weights, gradients, into: nil, lane)
      contextNorm.backward(dh, contextSaved, weights, gradients, into: dContext)
      time.backward(dh, steps: saved.steps, weights, gradients, lane)
    }
  }

  private func activated(_ x: Matrix, _ lane: Lane) -> Matrix {
    let values = lane.arena.matrix(x.rows, x.columns)
    lane.pool.split(x.count, grain: 16, least: 16384) { _, range in
      Kernels.table.pointee.gelu(Int64(range.count), x.pointer + range.lowerBound, values.pointer + range.lowerBound)
    }
    return values
  }

  private func activationGradient(_ x: Matrix, _ dy: Matrix, _ lane: Lane) {
    lane.pool.split(x.count, grain: 16, least: 16384) { _, range in
      Kernels.table.pointee.gelu_backward(
        Int64(range.count), x.pointer + range.lowerBound, dy.pointer + range.lowerBound)
    }
  }
}

/// 2z − 1 as fp32 [rows, bits] from packed bits, least significant first.
public func signs(_ z: UnsafePointer<UInt8>, rows: Int, bits: Int, in arena: Arena) -> Matrix {
  let out = arena.matrix(rows, bits)
  let bytes = (bits + 7) / 8
  for row in 0..<rows {
    let packed = z + row * bytes
    let target = out.row(row)
    Kernels.table.pointee.signs(Int64(bits), packed, target)
  }
  return out
}
