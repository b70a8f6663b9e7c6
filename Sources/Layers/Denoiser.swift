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

  public struct Saved: BitwiseCopyable, Sendable {
    let latents: QuantizedInput
    let levels: ArrayView<Int32>
    let blocks: ArenaList<BlockSaved>
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
    let arena = pass.arena
    let (rows, dim) = (context.rows, context.columns)
    let signs = arena.matrix(rows, dim)
    signs.setSigns(z)
    let latents = latentIn.input(signs, pass)
    let h = arena.matrix(rows, dim)
    latentIn.forward(latents, into: h, pass)
    let table = time.table(pass.weights)
    for row in 0..<rows {
      h[row].add(context[row])
      h[row].add(table[Int(levels[row])])
    }
    var saved = ArenaList<BlockSaved>(capacity: blocks.count, in: arena)
    var x = h
    for block in blocks {
      let next = arena.matrix(rows, dim)
      saved.append(forward(block, x, into: next, pass))
      next.add(x)
      x = next
    }
    let normalized = arena.matrix(rows, dim)
    let outNormSaved = outNorm.forward(x, into: normalized, pass)
    let outInput = out.input(normalized, pass)
    out.forward(outInput, into: logits, pass)
    return Saved(latents: latents, levels: levels, blocks: saved, outNorm: outNormSaved, outInput: outInput)
  }

  /// down(gelu(mid(gelu(up(RMSNorm(x)·norm))))) [T, d].
  private func forward(_ block: Block, _ x: Matrix, into y: Matrix, _ pass: ForwardLane) -> BlockSaved {
    func activated(_ x: Matrix) -> Matrix {
      let values = pass.arena.matrix(x.rows, x.columns)
      x.gelu(into: values, pass.pool)
      return values
    }
    let normalized = pass.arena.matrix(x.rows, x.columns)
    let norm = block.norm.forward(x, into: normalized, pass)
    let upInput = block.up.input(normalized, pass)
    let upOutput = pass.arena.matrix(x.rows, pass.weights.weights(block.up.weight).rows)
    block.up.forward(upInput, into: upOutput, pass)
    let midInput = block.mid.input(activated(upOutput), pass)
    let midOutput = pass.arena.matrix(x.rows, pass.weights.weights(block.mid.weight).rows)
    block.mid.forward(midInput, into: midOutput, pass)
    let downInput = block.down.input(activated(midOutput), pass)
    block.down.forward(downInput, into: y, pass)
    return BlockSaved(
      norm: norm, upInput: upInput, upOutput: upOutput, midInput: midInput, midOutput: midOutput,
      downInput: downInput)
  }

  /// Adds the gradient with respect to x_ctx to `dContext`, and the gradients of the parameters.
  public func backward(
    _ dLogits: Matrix, _ saved: Saved, contextSaved: RMSNorm.Saved, into dContext: Matrix, _ pass: BackwardLane
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
      time.backward(dh, levels: saved.levels, pass)
    }
  }
}
