/// How a trajectory's advantage follows from its group's rewards R (std is the population standard deviation).
public enum AdvantageMode: String, Sendable, CaseIterable {
  /// Â = clip((R − mean)/(std + 1e-8), 0, 1).
  case clip01
  /// Â = (R − mean)/(std + 1e-8) (GRPO, DeepSeekMath).
  case standardized
  /// Â = R − mean (Dr. GRPO).
  case groupMean = "group_mean"
}

/// How token terms are averaged into the objective J.
public enum AggregationMode: String, Sendable, CaseIterable {
  /// Mean over a group's generated tokens, then over groups (DAPO within each group).
  case groupTokenMean = "group_token_mean"
  /// Mean over the whole batch's generated tokens (DAPO).
  case tokenMean = "token_mean"
  /// Mean over each trajectory's tokens, then over trajectories (GRPO).
  case sequenceMean = "sequence_mean"
  /// Sum divided by maxTrajectoryLen × number of trajectories (Dr. GRPO).
  case drGRPO = "dr_grpo"
}

/// Estimator of KL(π_θ ‖ π_ref) from x = log π_θ − log π_ref at generated tokens (Schulman).
public enum KLEstimator: String, Sendable, CaseIterable {
  /// x.
  case k1
  /// x²/2.
  case k2
  /// e^(−x) + x − 1.
  case k3
}

/// The coefficients and modes of the GRPO/DAPO loss:
/// −J − entropyCoef · H + auxLossCoef · L_aux + diffusionLossCoef · L_diff + valueCoef · L_value + klCoef · KL.
public struct ObjectiveConfiguration: Sendable, Equatable {
  /// How advantages follow from rewards.
  public var advantage: AdvantageMode = .clip01
  /// How token terms are averaged.
  public var aggregation: AggregationMode = .groupTokenMean
  /// The importance ratio is clipped below at 1 − clipEpsilonLow.
  public var clipEpsilonLow = 0.2
  /// The importance ratio is clipped above at 1 + clipEpsilonHigh.
  public var clipEpsilonHigh = 0.2
  /// Weight of the mean full-vocabulary entropy H (subtracted from the loss).
  public var entropyCoef = 0.01
  /// Weight of the routers' load-balance loss.
  public var auxLossCoef = 0.01
  /// Weight of the denoiser's bit cross-entropy.
  public var diffusionLossCoef = 0.1
  /// Weight of ½(value − R)²; it trains the value head only.
  public var valueCoef = 0.5
  /// Weight of the KL to a frozen reference; 0 needs no reference.
  public var klCoef = 0.0
  /// Estimator of that KL.
  public var klEstimator: KLEstimator = .k3
  /// Generated tokens at most, per trajectory; the divisor of `drGRPO`.
  public var maxTrajectoryLen = 128
  /// Divides the logits, at rollout and in training alike.
  public var temperature = 1.0

  /// The defaults.
  public init() {}
}
