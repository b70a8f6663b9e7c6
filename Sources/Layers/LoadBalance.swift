import Tensors

/// The sequences of a micro-batch, as the balance loss needs them.
///
/// L_aux of a sequence is the mean over layers and the three routing levels of n·Σ_i f_i P_i; f_i is the share of
/// routed slots that chose i, P_i the mean probability (Fedus, Zoph and Shazeer, 2021, arXiv:2101.03961, equation 4).
/// For experts and micro agents it is the mean over mini-MoEs, weighted by the number of tokens that each received in
/// the layer.
public struct BalanceTerms: BitwiseCopyable, Sendable {
  /// Tokens of each sequence.
  let lengths: ArenaList<Int>
  /// dLoss/dL_aux of each sequence.
  let coefficients: ArenaList<Float>
  /// 1 / (3 · layers)
  let share: Double

  /// The terms must not outlive the lists.
  public init(lengths: ArenaList<Int>, coefficients: ArenaList<Float>, layers: Int) {
    self.init(lengths: lengths, coefficients: coefficients, share: 1 / Double(3 * layers))
  }

  init(lengths: ArenaList<Int>, coefficients: ArenaList<Float>, share: Double) {
    precondition(
      lengths.count == coefficients.count, "\(coefficients.count) coefficients of \(lengths.count) sequences")
    self.lengths = lengths
    self.coefficients = coefficients
    self.share = share
  }

  public var sequences: Int { lengths.count }
}

/// dL/dp of the balance loss: one row of n values for each run of tokens of one sequence.
struct BalanceGradient: BitwiseCopyable, @unchecked Sendable {
  let slopes: Matrix
  let segment: UnsafeMutablePointer<Int32>
  func row(_ token: Int) -> UnsafeMutablePointer<Float> { slopes.row(Int(segment[token])) }
}

extension Router {
  /// Adds this routing's contribution to L_aux to `values` [sequences] and its slots to `loads` [n], if they are given,
  /// and returns the gradient of the weighted loss with respect to the probabilities.
  ///
  /// - Parameters:
  ///   - sequence: the sequence of each token; tokens of one sequence are consecutive.
  ///   - outerTopK: slots of each token in the level above (1 at the top level). The weight of a run of tokens is its
  ///     length / (sequence length · outerTopK).
  func balance(
    _ routing: Routing, sequence: UnsafePointer<Int32>, outerTopK: Int, _ terms: BalanceTerms,
    values: UnsafeMutablePointer<Double>?, loads: UnsafeMutablePointer<Int64>?, _ lane: Lane
  ) -> BalanceGradient {
    let segment = lane.arena.allocate(Int32.self, routing.tokens)
    var segments = 0
    for token in 0..<routing.tokens {
      if token > 0, sequence[token] != sequence[token - 1] { segments += 1 }
      segment[token] = Int32(segments)
    }
    let slopes = lane.arena.zeros(routing.tokens == 0 ? 0 : segments + 1, count)
    var first = 0
    while first < routing.tokens {
      var last = first
      while last < routing.tokens, segment[last] == segment[first] { last += 1 }
      let owner = Int(sequence[first])
      let slope = slopes.row(Int(segment[first]))
      for slot in first * topK..<last * topK { slope[Int(routing.chosen[slot])] += 1 }
      let length = Double(last - first)
      let weight = terms.share * length / Double(terms.lengths[owner] * outerTopK)
      var value = 0.0
      for index in 0..<count {
        let slots = Double(slope[index])
        loads?[index] += Int64(slots)
        let fraction = slots / (length * Double(topK))
        if values != nil, slots > 0 {
          var sum = 0.0
          for token in first..<last { sum += Double(routing.probabilities.row(token)[index]) }
          value += fraction * sum / length
        }
        slope[index] = Float(Double(terms.coefficients[owner]) * weight * Double(count) * fraction / length)
      }
      values?[owner] += weight * Double(count) * value
      first = last
    }
    return BalanceGradient(slopes: slopes, segment: segment)
  }
}
