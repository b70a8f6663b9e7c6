/// The terms of the training loss, each already averaged over the batch, so that the terms of groups and
/// micro-batches add up to those of the batch.
///
///     total = policy − entropyCoef · entropy + auxLossCoef · aux + diffusionLossCoef · diffusion
///             + valueCoef · value + klCoef · kl
public struct ObjectiveTerms: BitwiseCopyable, Sendable, Equatable, Codable {
  /// −J.
  public var policy = 0.0
  /// H, nats: the mean over groups of the mean entropy at a group's generated tokens.
  public var entropy = 0.0
  /// L_aux: the routers' load-balance loss.
  public var aux = 0.0
  /// L_diff: the denoiser's cross-entropy per bit, nats.
  public var diffusion = 0.0
  /// L_value: ½(value − R)², averaged like the entropy.
  public var value = 0.0
  /// KL to the frozen reference, averaged like the entropy.
  public var kl = 0.0

  public init() {}

  public func total(_ configuration: ObjectiveConfiguration) -> Double {
    policy - configuration.entropyCoef * entropy + configuration.auxLossCoef * aux
      + configuration.diffusionLossCoef * diffusion + configuration.valueCoef * value + configuration.klCoef * kl
  }

  public static func += (sum: inout Self, terms: Self) {
    sum.policy += terms.policy
    sum.entropy += terms.entropy
    sum.aux += terms.aux
    sum.diffusion += terms.diffusion
    sum.value += terms.value
    sum.kl += terms.kl
  }
}

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
