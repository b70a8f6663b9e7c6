import Tensors

/// The update of a router's balance biases after an optimizer step, which evens out loads without a gradient:
///
///     b_i ← b_i + rate/(n k) · (mean load − load_i) / max(mean load, load_i)
///
/// for a router that chooses k of n targets. 1/n is the mean probability, and a step can reroute k slots of a token. So
/// the share of slots that a step reroutes does not grow with n or k, and it falls to 0 as the loads approach their
/// mean.
///
/// Loads are counted as integers over the complete batch and all ranks, so every rank and layout takes the same step.
///
/// Source: Wang et al., "Auxiliary-loss-free load balancing strategy for mixture-of-experts" (2024), algorithm 1, which
/// takes rate · sign(mean load − load_i).
public enum BalanceBias {
  /// - Parameters:
  ///   - biases: one for each of the router's n targets, changed in place.
  ///   - loads: routed slots that chose each target.
  ///   - topK: the number k of targets that each token chooses.
  ///   - rate: `balance_rate`; 0 changes nothing.
  public static func update(biases: Vector, loads: ArrayView<Int64>, topK: Int, rate: Double) {
    precondition(biases.count == loads.count, "\(biases.count) biases, but \(loads.count) loads")
    var sum: Int64 = 0
    for load in loads { sum += load }
    guard sum > 0 else { return }
    let count = Int64(loads.count)
    let unit = rate / Double(loads.count * topK)
    for index in biases.indices {
      // n times the load, because the mean load is a fraction.
      let load = count * loads[index]
      biases[index] += Float(unit * (Double(sum - load) / Double(max(sum, load))))
    }
  }
}
