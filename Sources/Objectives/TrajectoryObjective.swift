/// One trajectory's share of the loss and the gradient that its tokens send back.
public struct TrajectoryObjective: Sendable {
  /// Its contribution to the batch's terms (`aux` and `diffusion` stay 0: the model computes them).
  public var terms = ObjectiveTerms()
  public var statistics = RatioStatistics()
  /// d(total loss)/d(log π_θ) of each generated token.
  public var logProbabilityGradients: [Float] = []
  /// d(total loss)/d(entropy): the same number for every generated token of the trajectory.
  public var entropyGradient: Float = 0
  /// d(total loss)/d(value) of each generated token.
  public var valueGradients: [Float] = []
}
