import Tensors

/// The sequences of a micro-batch, as the balance loss needs them.
///
/// L_aux of a sequence is the mean over layers and the three routing levels of n·Σ_i f_i P_i; f_i is the share of
/// routed slots that chose i, P_i the mean probability (Fedus, Zoph and Shazeer, 2021, arXiv:2101.03961, equation 4).
/// For experts and micro agents it is the mean over mini-MoEs, weighted by the number of tokens that each received in
/// the layer. Shapes: T tokens, n choices, k of them chosen (top-k).
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
struct BalanceGradient: BitwiseCopyable, Sendable {
  let slopes: Matrix
  /// The run of each token.
  let segment: ArrayView<Int32>

  func row(_ token: Int) -> Vector { slopes[Int(segment[token])] }
}

/// Where a router's contribution to L_aux and its loads go.
struct RoutingReport {
  let terms: BalanceTerms
  /// The sequence of each token; tokens of one sequence are consecutive.
  let sequence: ArrayView<Int32>
  /// Slots of each token in the level above (1 at the top level). The weight of a run of tokens is its length /
  /// (sequence length · outerTopK).
  let outerTopK: Int
  /// L_aux of each sequence, to which the contribution is added, and slots of each choice [n], to which the router's
  /// slots are added; nil if they are not wanted.
  let values: ArrayView<Double>?
  let loads: ArrayView<Int64>?
}

extension Router {
  /// Adds this routing's contribution to L_aux and its slots to the report, and returns the gradient of the weighted
  /// loss with respect to the probabilities.
  func balance(_ routing: Routing, _ report: RoutingReport, _ lane: Lane) -> BalanceGradient {
    let segment = lane.arena.view(Int32.self, routing.tokens)
    var segments = 0
    for token in 0..<routing.tokens {
      if token > 0, report.sequence[token] != report.sequence[token - 1] { segments += 1 }
      segment[token] = Int32(segments)
    }
    let slopes = lane.arena.zeros(routing.tokens == 0 ? 0 : segments + 1, count)
    var first = 0
    while first < routing.tokens {
      var last = first
      while last < routing.tokens, segment[last] == segment[first] { last += 1 }
      addRun(first..<last, routing, report, slopes[Int(segment[first])])
      first = last
    }
    return BalanceGradient(slopes: slopes, segment: segment)
  }

  /// The tokens `run` of one sequence. Writes dL/dp of each choice, the same for all of them, to `slope`, which is 0
  /// before.
  private func addRun(_ run: Range<Int>, _ routing: Routing, _ report: RoutingReport, _ slope: Vector) {
    let (terms, sequence) = (report.terms, Int(report.sequence[run.lowerBound]))
    for slot in run.lowerBound * topK..<run.upperBound * topK { slope[Int(routing.chosen[slot])] += 1 }
    let length = Double(run.count)
    let weight = terms.share * length / Double(terms.lengths[sequence] * report.outerTopK)
    var value = 0.0
    for index in 0..<count {
      let slots = Double(slope[index])
      if let loads = report.loads { loads[index] += Int64(slots) }
      let fraction = slots / (length * Double(topK))
      if report.values != nil, slots > 0 {
        var sum = 0.0
        for token in run { sum += Double(routing.probabilities[token][index]) }
        value += fraction * sum / length
      }
      slope[index] = Float(Double(terms.coefficients[sequence]) * weight * Double(count) * fraction / length)
    }
    if let values = report.values { values[sequence] += weight * Double(count) * value }
  }
}
