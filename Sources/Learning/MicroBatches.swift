import Configuration
import Tensors

/// Divides sequences into micro-batches: sequences that pass through the model together, with their activations in
/// memory.
package enum MicroBatches {
  /// Maximum tokens per micro-batch; a longer sequence gets a micro-batch to itself.
  ///
  /// Larger micro-batches barely speed up the GEMMs, but backward keeps more memory for the council's gradients.
  /// Measured: see <doc:Benchmarks>.
  package static func tokens(recomputed: Bool) -> Int { recomputed ? 768 : 2048 }

  /// Maximum tokens per micro-batch of a reproducible sum. Its value affects the bits of the sum, so it must not be
  /// tuned for speed.
  package static let unitTokens = 4096

  /// Units have at least about so many tokens, because each unit costs one addition of all gradients.
  private static let leastUnitTokens = 256

  /// The units of reproducible sums of a group: ranges of consecutive sequences with up to a quarter of the group's
  /// tokens, but at least `leastUnitTokens`. Only lengths of the group matter, so the units are the same on any number of
  /// ranks. The rule affects the bits of the sum, so it must not be tuned for speed.
  package static func units(_ lengths: [Int]) -> [Range<Int>] { cut(lengths, tokens: unitLimit(lengths.reduce(0, +))) }

  /// The maximum tokens of a unit of several sequences, in a group of `tokens` tokens.
  package static func unitLimit(_ tokens: Int) -> Int { max(leastUnitTokens, tokens / 4 + min(1, tokens % 4)) }

  /// The maximum number of sequences of a unit, in a group of `count` sequences of `length` tokens.
  package static func unitSequences(_ count: Int, length: Int) -> Int {
    min(count, max(1, unitLimit(Saturating.product(count, length)) / max(1, length)))
  }

  /// Ranges of consecutive sequences with up to `limit` tokens in total; a longer sequence gets a range to itself.
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

  /// The micro-batches of a step. If sums are reproducible, `lengths` are of one unit, divided only by `unitTokens`.
  /// Otherwise `rl.accumulation_steps` parts with nearly equal numbers of sequences, each divided further by its
  /// tokens.
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

  /// Tokens of the largest micro-batch of `sequences` sequences of `length` tokens.
  ///
  /// - Parameter unit: the maximum number of sequences of a unit of reproducible sums.
  package static func largest(sequences: Int, length: Int, unit: Int, _ configuration: RunConfiguration) -> Int {
    let rl = configuration.rl
    let limit = configuration.parallel.reproducible ? unitTokens : tokens(recomputed: rl.gradientCheckpointing)
    let part =
      configuration.parallel.reproducible ? unit : (max(1, sequences) - 1) / rl.accumulationSteps + 1
    return Saturating.product(min(part, max(1, limit / max(1, length))), length)
  }
}
