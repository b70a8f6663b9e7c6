import Configuration
import Tensors

/// How sequences are cut into micro-batches: what is computed together, and whose activations are in memory together.
package enum MicroBatches {
  /// Tokens of a micro-batch at most, where its first sequence has no more.
  ///
  /// More hardly raise the speed of products, and what backward keeps for the council's gradients grows with them.
  /// Measured: see <doc:Benchmarks>.
  package static func tokens(recomputed: Bool) -> Int { recomputed ? 768 : 2048 }

  /// The same for units of reproducible sums: the cut is part of what makes their bits, so it does not follow from
  /// speed.
  package static let unitTokens = 4096

  /// Consecutive sequences with up to `limit` tokens together, or a single longer one.
  package static func cut(_ lengths: [Int], tokens limit: Int) -> [Range<Int>] {
    var parts: [Range<Int>] = []
    var tokens = limit
    for (index, length) in lengths.enumerated() {
      if tokens + length > limit {
        parts.append(index..<index)
        tokens = 0
      }
      parts[parts.count - 1] = parts[parts.count - 1].lowerBound..<index + 1
      tokens += length
    }
    return parts
  }

  /// The micro-batches of a step's sequences, or of a unit's where sums are reproducible: there by the unit's tokens
  /// alone, otherwise `rl.accumulation_steps` parts of about as many sequences, each cut further by its tokens.
  package static func parts(_ lengths: [Int], _ configuration: RunConfiguration) -> [Range<Int>] {
    if configuration.parallel.reproducible { return cut(lengths, tokens: unitTokens) }
    let rl = configuration.rl
    let count = min(rl.accumulationSteps, lengths.count)
    return (0..<count).flatMap { part in
      let range = WorkerPool.part(part, of: count, count: lengths.count)
      return cut(Array(lengths[range]), tokens: tokens(recomputed: rl.gradientCheckpointing)).map {
        range.lowerBound + $0.lowerBound..<range.lowerBound + $0.upperBound
      }
    }
  }

  /// Tokens of the largest micro-batch of `sequences` sequences of `length` tokens, of which a unit of reproducible sums
  /// has `unit`.
  package static func largest(sequences: Int, length: Int, unit: Int, _ configuration: RunConfiguration) -> Int {
    let rl = configuration.rl
    let limit = configuration.parallel.reproducible ? unitTokens : tokens(recomputed: rl.gradientCheckpointing)
    let part =
      configuration.parallel.reproducible ? unit : (max(1, sequences) - 1) / rl.accumulationSteps + 1
    return Saturating.product(min(part, max(1, limit / max(1, length))), length)
  }
}
