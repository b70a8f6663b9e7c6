import Layers
import Tensors

/// The next-token distribution of one sequence: logits divided by the temperature, and the sums of their chunks.
struct VocabularyRow {
  let logits: Vector
  let chunks: ArrayView<LogitSums>
  let logSumExp: Float

  /// The probability of a whole chunk.
  private func mass(_ chunk: Int) -> Double {
    Double(chunks[chunk].sum * Kernels.exp(chunks[chunk].maximum - logSumExp))
  }

  private func entries(_ chunk: Int) -> Range<Int> {
    let first = chunk * LanguageModelHead.chunk
    return first..<min(logits.count, first + LanguageModelHead.chunk)
  }

  /// The largest logit; on ties, the lowest index.
  var largest: Int {
    var best = 0
    for chunk in chunks.indices where chunks[chunk].maximum > chunks[best].maximum { best = chunk }
    let entries = entries(best)
    var index = entries.lowerBound
    for other in entries where logits[other] > logits[index] { index = other }
    return index
  }

  /// The first chunk, and in it the first index, whose cumulative probability exceeds u. The sums give a chunk's
  /// probability, so only one chunk's exponentials are computed.
  func index(at uniform: Float, _ scratch: Arena) -> Int {
    let target = Double(uniform)
    var (chosen, before) = (0, 0.0)
    if chunks.count > 1 {
      var cumulative = 0.0
      for chunk in chunks.indices {
        let mass = mass(chunk)
        if mass > 0 { (chosen, before) = (chunk, cumulative) }
        cumulative += mass
        if cumulative > target { break }
      }
    }
    let entries = entries(chosen)
    return scratch.scoped {
      let probabilities = scratch.vector(entries.count)
      for index in probabilities.indices { probabilities[index] = logits[entries.lowerBound + index] - logSumExp }
      probabilities.exponentiate()
      var (cumulative, last) = (before, 0)
      for index in probabilities.indices where probabilities[index] > 0 {
        cumulative += Double(probabilities[index])
        last = index
        if cumulative > target { break }
      }
      return entries.lowerBound + last
    }
  }
}
