import Foundation
import MPI

/// Scales the learning rate so that an update changes the policy by about a target divergence:
///
///     scale ← min(1, scale · clip(√(target/KL), 1/2, 6/5))
///
/// KL(π_old ‖ π_θ) in nats per generated token, after the update, is estimated by r − 1 − log r with r = π_θ/π_old
/// (k3: Schulman, "Approximating KL divergence", 2020). The divergence of a small step is quadratic in the step, hence
/// the root. The scale never exceeds 1, so the schedule remains the upper bound.
///
/// Source: the adaptive penalty of Schulman et al., "Proximal policy optimization" (2017), section 4, applied to the
/// learning rate.
package struct TrustRegion: Sendable {
  /// In nats per token; 0 means that the scale stays 1.
  package let target: Double
  package internal(set) var scale = 1.0

  /// - Parameter target: in nats per token; at least 0.
  package init(target: Double) { self.target = target }

  /// Adapts the scale to the divergence of an update.
  package mutating func adapt(to divergence: Double) {
    guard target > 0, divergence.isFinite, divergence >= 0 else { return }
    let factor = (target / max(divergence, 1e-30)).squareRoot()
    scale = min(1, scale * min(max(factor, 0.5), 1.2))
  }

  /// Σ (r − 1 − log r) and the number of tokens of a trajectory.
  struct Record: RankRecord {
    let trajectory: UInt64
    var sum = 0.0
    var tokens = 0

    init(trajectory: UInt64) { self.trajectory = trajectory }

    mutating func add(old: [Float], new: [Float]) {
      for (old, new) in zip(old, new) {
        // As in the objective, a ratio beyond e^20 counts as e^20.
        let logRatio = min(max(Double(new) - Double(old), -20), 20)
        sum += exp(logRatio) - 1 - logRatio
      }
      tokens += old.count
    }
  }

  /// The mean over all tokens, added in the order of the trajectories; nil without tokens.
  static func divergence(_ records: [Record]) -> Double? {
    var (sum, tokens) = (0.0, 0)
    for record in records.sorted(by: { $0.trajectory < $1.trajectory }) {
      sum += record.sum
      tokens += record.tokens
    }
    return tokens > 0 ? sum / Double(tokens) : nil
  }
}
