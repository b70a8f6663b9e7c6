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
/// "DAPO" (2025), equation 8. GSPO gives it the sequence's ratio; `cispo` is another surrogate.
public struct TokenObjective: Sendable, Equatable {
  /// Which bound, if any, replaced the ratio and so stopped the gradient (in CISPO: bounded its weight).
  public enum Clipping: Sendable, Equatable {
    case none
    /// Â < 0 and the ratio is already below 1 − clipEpsilonLow, or the log ratio is below −`largestLogRatio`.
    case low
    /// Â > 0 and the ratio is already above 1 + clipEpsilonHigh, or Â < 0 and the ratio is above the dual clip, or the
    /// log ratio is above `largestLogRatio`.
    case high
  }

  /// A log ratio within the bounds; NaN stays.
  static func bounded(_ logRatio: Double) -> Double {
    logRatio > largestLogRatio ? largestLogRatio : logRatio < -largestLogRatio ? -largestLogRatio : logRatio
  }

  /// Log ratios beyond this in size count as this, and have no gradient: as in verl. Further off, the recorded
  /// log-probability says nothing, and the ratio would leave the range of the gradients.
  public static let largestLogRatio = 20.0

  /// log π_θ − log π_old, of the token or of its sequence (their mean).
  public let logRatio: Double
  /// r, of the bounded log ratio.
  public let ratio: Double
  public let clipping: Clipping
  /// min(r Â, clip(r) Â).
  public let objective: Double
  /// d(objective)/d(log π_θ): r Â, or 0 where clipped.
  public let derivative: Double

  /// The clipped surrogate of one token's own ratio.
  public init(
    logProbability: Double, oldLogProbability: Double, advantage: Double,
    clipEpsilonLow: Double, clipEpsilonHigh: Double
  ) {
    self.init(
      logRatio: logProbability - oldLogProbability, advantage: advantage, clipEpsilonLow: clipEpsilonLow,
      clipEpsilonHigh: clipEpsilonHigh)
  }

  /// The clipped surrogate of a log ratio: a token's own, or its sequence's mean (GSPO). In GSPO the gradient of the
  /// mean reaches each of the |τ| tokens with factor 1/|τ|, and |τ| tokens contribute to it, so the derivative at a
  /// token is the same formula.
  ///
  /// - Parameter dualClip: if Â < 0, the objective is at least dualClip · Â (Ye et al., 2020, equation 5); 0 disables
  ///   the bound.
  public init(
    logRatio: Double, advantage: Double, clipEpsilonLow: Double, clipEpsilonHigh: Double, dualClip: Double = 0
  ) {
    self.logRatio = logRatio
    ratio = exp(Self.bounded(logRatio))
    if advantage > 0, ratio > 1 + clipEpsilonHigh {
      clipping = .high
      objective = (1 + clipEpsilonHigh) * advantage
      derivative = 0
    } else if advantage < 0, ratio < 1 - clipEpsilonLow {
      clipping = .low
      objective = (1 - clipEpsilonLow) * advantage
      derivative = 0
    } else if dualClip > 0, advantage < 0, ratio > dualClip {
      clipping = .high
      objective = dualClip * advantage
      derivative = 0
    } else if advantage != 0, abs(logRatio) > Self.largestLogRatio {
      clipping = logRatio > 0 ? .high : .low
      objective = ratio * advantage
      derivative = 0
    } else {
      clipping = .none
      objective = ratio * advantage
      derivative = ratio * advantage
    }
  }

  /// CISPO: sg(clip(r, 1 − clipEpsilonLow, 1 + clipEpsilonHigh)) Â log π_θ; a bounded ratio still has a gradient.
  public static func cispo(
    logProbability: Double, logRatio: Double, advantage: Double, clipEpsilonLow: Double, clipEpsilonHigh: Double
  ) -> TokenObjective {
    let ratio = exp(bounded(logRatio))
    let clipping: Clipping = ratio > 1 + clipEpsilonHigh ? .high : ratio < 1 - clipEpsilonLow ? .low : .none
    let weight =
      switch clipping {
      case .none: ratio
      case .low: 1 - clipEpsilonLow
      case .high: 1 + clipEpsilonHigh
      }
    return TokenObjective(
      logRatio: logRatio, ratio: ratio, clipping: clipping, objective: weight * advantage * logProbability,
      derivative: weight * advantage)
  }

  private init(logRatio: Double, ratio: Double, clipping: Clipping, objective: Double, derivative: Double) {
    self.logRatio = logRatio
    self.ratio = ratio
    self.clipping = clipping
    self.objective = objective
    self.derivative = derivative
  }
}

extension KLEstimator {
  /// The estimate at one token and its derivative, from x = log π_θ − log π_ref.
  ///
  /// k1 = x, k2 = x²/2, k3 = e^(−x) + x − 1; the derivative is with respect to x and so to log π_θ.
  /// Source: Schulman, "Approximating KL divergence" (2020).
  /// Beyond x = −20, e^(−x) counts as e^20.
  public func value(_ x: Double) -> (estimate: Double, derivative: Double) {
    switch self {
    case .k1: (x, 1)
    case .k2: (x * x / 2, x)
    case .k3: (Self.ratio(x) + x - 1, 1 - Self.ratio(x))
    }
  }

  private static func ratio(_ x: Double) -> Double {
    exp(-x > TokenObjective.largestLogRatio ? TokenObjective.largestLogRatio : -x)
  }
}
