import Foundation

/// The clipped surrogate at one generated token, before its aggregation weight:
///
///     r = exp(log π_θ − log π_old)
///     objective = min(r Â, clip(r, 1 − clipEpsilonLow, 1 + clipEpsilonHigh) Â)
///
/// The objective is maximised: a token's loss is −weight · objective. A NaN in either log-probability shows in
/// `ratio`, `objective` and `derivative`.
///
/// Source: Schulman et al., "Proximal policy optimization" (2017), equation 7; separate bounds from Yu et al.,
/// "DAPO" (2025), equation 8.
public struct TokenObjective: Sendable, Equatable {
  /// Which bound, if any, replaced the ratio and so stopped the gradient.
  public enum Clipping: Sendable, Equatable {
    case none
    /// Â < 0 and the ratio is below 1 − clipEpsilonLow already.
    case low
    /// Â > 0 and the ratio is above 1 + clipEpsilonHigh already.
    case high
  }

  /// log π_θ − log π_old.
  public let logRatio: Double
  /// r.
  public let ratio: Double
  public let clipping: Clipping
  /// min(r Â, clip(r) Â).
  public let objective: Double
  /// d(objective)/d(log π_θ): r Â, or 0 where clipped.
  public let derivative: Double

  public init(
    logProbability: Double, oldLogProbability: Double, advantage: Double,
    clipEpsilonLow: Double, clipEpsilonHigh: Double
  ) {
    logRatio = logProbability - oldLogProbability
    ratio = exp(logRatio)
    if advantage > 0, ratio > 1 + clipEpsilonHigh {
      clipping = .high
      objective = (1 + clipEpsilonHigh) * advantage
      derivative = 0
    } else if advantage < 0, ratio < 1 - clipEpsilonLow {
      clipping = .low
      objective = (1 - clipEpsilonLow) * advantage
      derivative = 0
    } else {
      clipping = .none
      objective = ratio * advantage
      derivative = ratio * advantage
    }
  }
}
