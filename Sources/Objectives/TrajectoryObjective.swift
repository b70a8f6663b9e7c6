/// The contribution of one trajectory to the loss, and the gradients with respect to the signals of its tokens.
public struct TrajectoryObjective: Sendable {
  /// The contribution to the batch's terms (`aux` and `diffusion` stay 0: the model computes them).
  public var terms = ObjectiveTerms()
  public var statistics = RatioStatistics()
  /// d(total loss)/d(log π_θ) of each generated token.
  public var logProbabilityGradients: [Float] = []
  /// d(total loss)/d(entropy): the same number for every generated token of the trajectory.
  public var entropyGradient: Float = 0
  /// d(total loss)/d(value) of each generated token.
  public var valueGradients: [Float] = []
}
