/// How a trajectory's advantage is computed from its group's rewards R (std is the standard deviation).
public enum AdvantageMode: String, Sendable, CaseIterable {
  /// Â = clip((R − mean)/(std + 1e-8), 0, 1).
  case clip01
  /// Â = (R − mean)/(std + 1e-8) (GRPO, DeepSeekMath).
  case standardized
  /// Â = R − mean (Dr. GRPO).
  case groupMean = "group_mean"
  /// Â = R − the mean of the others' rewards = G/(G − 1) · (R − mean) (RLOO: Ahmadian et al., arXiv:2402.14740).
  case leaveOneOut = "leave_one_out"
}

/// The standard deviation that `clip01` and `standardized` divide by.
public enum DeviationEstimator: String, Sendable, CaseIterable {
  /// Divides the squares by G: this design, and numpy's default.
  case population
  /// Divides the squares by G − 1: what TRL and verl compute (torch's default).
  case sample
}

/// Whether the importance ratio belongs to a token or to a sequence.
public enum RatioMode: String, Sendable, CaseIterable {
  /// r_t = π_θ(token)/π_old(token), one per token (PPO, GRPO, DAPO).
  case token
  /// s = (π_θ(τ)/π_old(τ))^(1/|τ|), one per trajectory (GSPO: Zheng et al., arXiv:2507.18071, equation 7); its bounds
  /// are narrow: the paper clips at 3e-4 below and 4e-4 above 1.
  case sequence
}

/// The quantity that is maximised at a token.
public enum SurrogateMode: String, Sendable, CaseIterable {
  /// min(r Â, clip(r) Â) (PPO).
  case clipped
  /// sg(clip(r)) Â log π_θ: the ratio is bounded, but no gradient is stopped (CISPO: MiniMax-M1, arXiv:2506.13585,
  /// equation 4). The paper leaves the lower side unbounded (clipEpsilonLow 1). TRL's setting bounds the ratio itself;
  /// it corresponds to 1 + clipEpsilonHigh here.
  case cispo
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
  /// How advantages are computed from rewards.
  public var advantage: AdvantageMode = .clip01
  /// The standard deviation that advantages are divided by.
  public var advantageStd: DeviationEstimator = .population
  /// Added to that standard deviation (TRL: 1e-4, verl: 1e-6).
  public var advantageEpsilon = 1e-8
  /// How token terms are averaged.
  public var aggregation: AggregationMode = .groupTokenMean
  /// Whether the importance ratio belongs to a token or to a sequence.
  public var ratio: RatioMode = .token
  /// The quantity that is maximised at a token.
  public var surrogate: SurrogateMode = .clipped
  /// The importance ratio is clipped below at 1 − clipEpsilonLow.
  public var clipEpsilonLow = 0.2
  /// The importance ratio is clipped above at 1 + clipEpsilonHigh.
  public var clipEpsilonHigh = 0.2
  /// If Â < 0, the objective is at least dualClip · Â, so that a huge ratio cannot blow up the loss (Ye et al.,
  /// arXiv:1912.09729, use 3); 0 disables the bound.
  public var dualClip = 0.0
  /// Weight of J; other than 1 only to measure the terms separately.
  public var policyCoef = 1.0
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
  /// Maximum number of generated tokens of a trajectory; the divisor of `drGRPO`.
  public var maxTrajectoryLen = 128
  /// Divides the logits, at rollout and in training alike.
  public var temperature = 1.0

  /// The defaults.
  public init() {}
}
