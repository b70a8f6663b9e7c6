import Tensors

/// The update of a router's balance biases after an optimizer step, which evens out loads without a gradient:
///
///     b_i ← b_i + rate · sign(mean load − load_i)
///
/// Loads are counted as integers over the complete batch and all ranks, and compared as integers (sign(Σ load − n ·
/// load_i)), so every rank and layout makes the same decision.
///
/// Source: Wang et al., "Auxiliary-loss-free load balancing strategy for mixture-of-experts" (2024), algorithm 1.
public enum BalanceBias {
  /// - Parameters:
  ///   - biases: one for each of the router's n targets, changed in place.
  ///   - loads: routed slots that chose each target.
  ///   - rate: `balance_rate`; 0 changes nothing.
  public static func update(biases: Vector, loads: ArrayView<Int64>, rate: Float) {
    precondition(biases.count == loads.count, "\(biases.count) biases, but \(loads.count) loads")
    var sum: Int64 = 0
    for load in loads { sum += load }
    for index in biases.indices {
      switch sum - Int64(loads.count) * loads[index] {
      case 1...: biases[index] += rate
      case ..<0: biases[index] -= rate
      default: break
      }
    }
  }
}
