import Foundation
import Tensors

/// Chooses a token from a row of logits.
///
/// u is a uniform number: the first index whose cumulative probability, in index order after temperature and filters,
/// exceeds u is taken. Without filters, cumulative probabilities are those of chunks of the vocabulary, then of the
/// entries of one chunk (`VocabularyRow`).
struct TokenChooser {
  let options: SamplingOptions

  /// Number of entries that a choice among `vocabulary` looks at one by one.
  func entries(of vocabulary: Int) -> Int { needsEveryEntry ? 8 * vocabulary : 2048 }

  private var isPenalized: Bool { options.repetitionPenalty != 1 }
  private var isFiltered: Bool { options.topK > 0 || options.topP < 1 || options.minP > 0 }
  private var needsEveryEntry: Bool { isPenalized || (isFiltered && !options.greedy) }

  /// The next token of a sequence that contains `tokens`; nil if a logit is not finite.
  func choose(_ row: VocabularyRow, after tokens: [Int32], uniform: Float, _ scratch: Arena) -> Int? {
    // If a logit is NaN, the sum is NaN.
    guard row.logSumExp.isFinite else { return nil }
    guard needsEveryEntry else { return options.greedy ? row.largest : row.index(at: uniform, scratch) }
    return scratch.scoped {
      let logits = scratch.vector(row.logits.count)
      logits.copy(from: row.logits)
      if isPenalized { penalize(logits, tokens) }
      let normalizer = isPenalized ? Self.logSumExp(logits) : row.logSumExp
      guard normalizer.isFinite else { return nil }
      let probabilities = scratch.vector(logits.count)
      if !options.greedy {
        for entry in logits.indices { probabilities[entry] = logits[entry] - normalizer }
        probabilities.exponentiate()
      }
      return choose(logits.pointer, probabilities.buffer, uniform: uniform)
    }
  }

  /// Applies the repetition penalty to the logits of `tokens`.
  private func penalize(_ logits: Vector, _ tokens: [Int32]) {
    for token in Set(tokens) {
      let value = logits[Int(token)]
      logits[Int(token)] = value > 0 ? value / options.repetitionPenalty : value * options.repetitionPenalty
    }
  }

  private static func logSumExp(_ logits: Vector) -> Float {
    var maximum = logits[0]
    for value in logits where value > maximum { maximum = value }
    var sum = 0.0
    for value in logits { sum += exp(Double(value - maximum)) }
    return maximum + Float(log(sum))
  }

  /// - Parameters:
  ///   - logits: already divided by the temperature.
  ///   - probabilities: exp(logit − log Σ exp) of each entry; overwritten where a filter removes it.
  func choose(_ logits: UnsafePointer<Float>, _ probabilities: UnsafeMutableBufferPointer<Float>, uniform: Float) -> Int
  {
    if options.greedy {
      var best = 0
      for index in 1..<max(1, probabilities.count) where logits[index] > logits[best] { best = index }
      return best
    }
    let total = filter(probabilities)
    var cumulative = 0.0
    var last = 0
    for (index, probability) in probabilities.enumerated() where probability > 0 {
      cumulative += Double(probability)
      last = index
      if cumulative > Double(uniform) * total { return index }
    }
    return last
  }

  /// Zeroes the probabilities that top-k, top-p and min-p remove; returns the mass by which to scale u (1 without
  /// filters).
  ///
  /// - Precondition: the probabilities are finite, and one of them is above 0.
  private func filter(_ probabilities: UnsafeMutableBufferPointer<Float>) -> Double {
    let limitsCount = options.topK > 0 && options.topK < probabilities.count
    guard limitsCount || options.topP < 1 || options.minP > 0 else { return 1 }
    let largest = probabilities.max() ?? 0
    let minimum = Float(options.minP) * largest
    // Only the most probable tokens matter: sort those above a threshold, and lower the threshold until they suffice.
    var threshold = largest / 64
    while true {
      if !(threshold >= Float.leastNormalMagnitude) { threshold = 0 }
      let order = probabilities.indices.filter { !(probabilities[$0] < threshold) }.sorted {
        probabilities[$0] != probabilities[$1] ? probabilities[$0] > probabilities[$1] : $0 < $1
      }
      let head = limitsCount ? order.prefix(options.topK) : order[...]
      // Top-p is a share of the mass that top-k keeps, which must be known first.
      let isWhole = threshold == 0 || (limitsCount && head.count == options.topK)
      let whole = limitsCount ? head.reduce(0.0) { $0 + Double(probabilities[$1]) } : 1
      var mass = 0.0
      var kept = 0
      var isComplete = isWhole
      if isWhole || !limitsCount {
        for index in head {
          if probabilities[index] < minimum || (options.topP < 1 && mass >= options.topP * whole) {
            isComplete = true
            break
          }
          mass += Double(probabilities[index])
          kept += 1
        }
      }
      if isComplete || (!limitsCount && threshold <= minimum) {
        let chosen = head.prefix(kept).map { ($0, probabilities[$0]) }
        probabilities.update(repeating: 0)
        for (index, probability) in chosen { probabilities[index] = probability }
        return mass
      }
      threshold /= 256
    }
  }
}
