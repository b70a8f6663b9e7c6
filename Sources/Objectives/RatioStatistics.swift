import Foundation

/// How far the policy moved from π_old at generated tokens, as counts and sums that can be added over trajectories and
/// ranks.
public struct RatioStatistics: BitwiseCopyable, Sendable, Equatable, Codable {
  public var tokens = 0
  /// Number of tokens whose gradient was stopped by the lower or upper bound.
  public var clippedLow = 0
  public var clippedHigh = 0
  public var ratioSum = 0.0
  public var ratioMaximum = 0.0
  /// Σ of k1 = −log r and of k3 = r − 1 − log r, two estimates of KL(π_old ‖ π_θ).
  public var k1Sum = 0.0
  public var k3Sum = 0.0
  /// max |log π_θ − log π_old|; 0 exactly on the first pass after a publication.
  public var logRatioMaximum = 0.0

  public init() {}

  /// - Parameter logRatio: the token's own log π_θ − log π_old, also if its objective uses the ratio of the sequence.
  public mutating func add(_ token: TokenObjective, logRatio: Double) {
    tokens += 1
    clippedLow += token.clipping == .low ? 1 : 0
    clippedHigh += token.clipping == .high ? 1 : 0
    ratioSum += token.ratio
    ratioMaximum = max(ratioMaximum, token.ratio)
    k1Sum -= logRatio
    let bounded = TokenObjective.bounded(logRatio)
    k3Sum += (logRatio == token.logRatio ? token.ratio : exp(bounded)) - 1 - bounded
    logRatioMaximum = max(logRatioMaximum, abs(logRatio))
  }

  public static func += (sum: inout Self, other: Self) {
    sum.tokens += other.tokens
    sum.clippedLow += other.clippedLow
    sum.clippedHigh += other.clippedHigh
    sum.ratioSum += other.ratioSum
    sum.ratioMaximum = max(sum.ratioMaximum, other.ratioMaximum)
    sum.k1Sum += other.k1Sum
    sum.k3Sum += other.k3Sum
    sum.logRatioMaximum = max(sum.logRatioMaximum, other.logRatioMaximum)
  }

  /// Share of tokens clipped at the lower bound. This share and the means below are 0 without tokens.
  public var clipShareLow: Double { mean(Double(clippedLow)) }
  /// Share of tokens clipped at the upper bound.
  public var clipShareHigh: Double { mean(Double(clippedHigh)) }
  public var ratioMean: Double { mean(ratioSum) }
  public var k1Mean: Double { mean(k1Sum) }
  public var k3Mean: Double { mean(k3Sum) }

  private func mean(_ sum: Double) -> Double { tokens > 0 ? sum / Double(tokens) : 0 }
}
