/// How tokens are drawn from the policy's distribution.
///
/// The filters follow one another as in Hugging Face's transformers: temperature, top-k, top-p of what top-k leaves (its
/// probabilities renormalised), min-p. What is left is renormalised and drawn from.
public struct SamplingOptions: Sendable, Equatable {
  /// A lower temperature is `greedy` or refused: logits divided by it may leave the range of numbers.
  public static let leastTemperature = 1e-5

  /// Divides the logits, at rollout and in training alike.
  public var temperature: Float = 1
  /// Keeps the k most probable tokens (of equal ones the lowest index first); 0 keeps all.
  public var topK = 0
  /// Keeps the smallest set of most probable tokens that reaches this share of the probability of what top-k keeps; 1
  /// keeps all.
  public var topP = 1.0
  /// Drops tokens less probable than this share of the most probable one (Nguyen et al., 2024, arXiv:2407.01082);
  /// 0 keeps all.
  public var minP = 0.0
  /// Divides positive logits of tokens that the sequence holds already, and multiplies negative ones (Keskar et al.,
  /// 2019, arXiv:1909.05858); 1 changes nothing. Log-probabilities reported are those before it: with another value,
  /// what is sampled is not the policy.
  public var repetitionPenalty: Float = 1
  /// Takes the most probable token (lowest index first) instead of drawing.
  public var greedy = false
  /// Generated tokens at most, the end token among them.
  public var maxNewTokens = 128

  public init() {}
}

/// Chooses a token from a row of logits.
///
/// u is a uniform number: the first index whose cumulative probability, in index order after temperature and filters,
/// exceeds u is taken.
struct TokenChooser {
  let options: SamplingOptions

  /// - Parameters:
  ///   - logits: divided by the temperature already.
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

  /// Zeroes what top-k, top-p and min-p remove; returns the mass to scale u by (1 without filters).
  ///
  /// - Precondition: the probabilities are finite, and one of them is above 0.
  private func filter(_ probabilities: UnsafeMutableBufferPointer<Float>) -> Double {
    let limitsCount = options.topK > 0 && options.topK < probabilities.count
    guard limitsCount || options.topP < 1 || options.minP > 0 else { return 1 }
    let largest = probabilities.max() ?? 0
    let least = Float(options.minP) * largest
    // Only the head of the order matters: sort what lies above a threshold, and lower it while that is not enough.
    var threshold = largest / 64
    while true {
      if !(threshold >= Float.leastNormalMagnitude) { threshold = 0 }
      let order = probabilities.indices.filter { !(probabilities[$0] < threshold) }.sorted {
        probabilities[$0] != probabilities[$1] ? probabilities[$0] > probabilities[$1] : $0 < $1
      }
      let head = limitsCount ? order.prefix(options.topK) : order[...]
      // Top-p is a share of what top-k leaves, which must be known first.
      let isWhole = threshold == 0 || (limitsCount && head.count == options.topK)
      let whole = limitsCount ? head.reduce(0.0) { $0 + Double(probabilities[$1]) } : 1
      var mass = 0.0
      var kept = 0
      var isComplete = isWhole
      if isWhole || !limitsCount {
        for index in head {
          if probabilities[index] < least || (options.topP < 1 && mass >= options.topP * whole) {
            isComplete = true
            break
          }
          mass += Double(probabilities[index])
          kept += 1
        }
      }
      if isComplete || (!limitsCount && threshold <= least) {
        let chosen = head.prefix(kept).map { ($0, probabilities[$0]) }
        probabilities.update(repeating: 0)
        for (index, probability) in chosen { probabilities[index] = probability }
        return mass
      }
      threshold /= 256
    }
  }
}
