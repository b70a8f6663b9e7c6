import Models
import Parameters
import Tensors

/// Samples the latents of complete sequences with given weights, without gradient.
package enum LatentSampling {
  /// Packed latents of each sequence; empty without diffusion.
  package static func latents(
    _ sequences: [[Int32]], ids: [UInt64], seed: UInt64, _ model: QuillanModel, _ weights: PackedModel,
    _ context: Context
  ) -> [[UInt8]] {
    guard let diffusion = model.diffusion else { return sequences.map { _ in [] } }
    return context.arena.scoped {
      let batch = TokenBatch(sequences: sequences, in: context.arena)
      let prefix = model.prefix(batch, weights, context)
      let identities = zip(sequences, ids).flatMap { tokens, id in
        tokens.indices.map { ReasoningDiffusion.Identity(sequence: id, position: UInt32($0)) }
      }
      let bytes = model.latentBytes
      let bits = context.arena.view(UInt8.self, identities.count * bytes)
      diffusion.sample(prefix.xContext, identities: identities, seed: seed, weights, into: bits, context)
      return batch.spans.map {
        Array(bits.part($0.first * bytes..<($0.first + $0.count) * bytes))
      }
    }
  }
}
