import Foundation

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
