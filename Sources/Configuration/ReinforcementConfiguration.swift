import Objectives

/// What a trajectory without an advantage contributes to an update: one of a group with equal rewards, or, with
/// `clip01`, one that is not better than its group.
public enum ZeroAdvantage: String, Sendable, CaseIterable {
  /// The terms of the loss that need no advantage: entropy, balance, diffusion, value and KL.
  case keep
  /// Nothing, and no passes through the model.
  case skip
}

/// Reinforcement by GRPO/DAPO (the `rl` section): batch, schedule, sampling and the objective's coefficients.
public struct ReinforcementConfiguration: Sendable, Equatable {
  /// The loss: advantages, aggregation, coefficients, trajectory length and temperature.
  public var objective = ObjectiveConfiguration()
  /// Peak learning rate.
  public var learningRate = 3e-4
  /// GRPO groups (prompts) per optimizer step, over all ranks.
  public var batchSize = 4
  /// Trajectories of one group, G.
  public var numTrajectories = 4
  /// Maximum global gradient norm; larger gradients are scaled down.
  public var maxGradNorm = 1.0
  /// Optimizer steps of the run.
  public var numEpochs = 1000
  /// Optimizer steps of linear warm-up.
  public var warmupSteps = 1000
  /// Whether weight-gradient products read operands rounded to bfloat16 instead of fp32.
  public var useMixedPrecision = true
  /// Number of parts that an optimizer step is split into.
  public var accumulationSteps = 1
  /// Optimizer steps between publications of π_old.
  public var oldPolicyInterval = 1
  /// Whether the backward pass recomputes each layer's activations instead of keeping them.
  public var gradientCheckpointing = false
  /// Step of the balance biases towards even load; 0 turns balancing off.
  public var balanceRate = 0.006
  /// Samples only from this many most likely tokens; 0 means all.
  public var topK = 0
  /// Samples only from the most likely tokens with this total probability; 1 means all.
  public var topP = 1.0
  /// Number of tokens before the length limit over which DAPO's overlong penalty grows; 0 means no penalty.
  public var overlongCache = 0
  /// Whether trajectories that reached the length limit are excluded from the loss (they still count in their group).
  public var overlongFilter = false
  /// What trajectories without an advantage contribute to an update.
  public var zeroAdvantage = ZeroAdvantage.keep
  /// Target of KL(π_old ‖ π_θ) per token of an update, in nats, towards which the learning rate is scaled down; 0 means
  /// no scaling.
  public var targetKL = 0.0
  /// Decay of the moving average of the parameters that evaluations and weights files use; 0 means no average.
  public var emaDecay = 0.0
  /// The fall of the held-out measure below its best value at which the run returns to the best weights; 0 means never.
  public var guardFall = 0.0
  /// Whether the answer of each prompt joins the prompt's group as one more trajectory.
  public var demonstrations = false
  /// Whether groups with equal raw rewards are replaced by further prompts (DAPO's dynamic sampling).
  public var dynamicSampling = false
  /// Maximum number of times that dynamic sampling draws again.
  public var maxResampleTimes = 3
  /// Passes over the groups of one rollout.
  public var ppoEpochs = 1
  /// Optimizer steps per pass; a rollout has `miniBatches` · `batchSize` groups.
  public var miniBatches = 1
  /// Target entropy in nats, towards which the entropy coefficient is adjusted; 0 keeps the coefficient constant.
  public var entropyTarget = 0.0
  /// Change of the entropy coefficient per step.
  public var entropyDelta = 0.001
  /// Maximum of the entropy coefficient; the minimum is 0.
  public var entropyCoefMax = 0.1
  /// The value of `evaluation.metric` at which the run ends; nil means never.
  public var stopAt: Double?
  /// Decoupled weight decay of AdamW.
  public var weightDecay = 0.01
  /// Seed of every random number of the run.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}

  /// Sets both clipping bounds of the importance ratio; returns the lower one.
  public var clipEpsilon: Double {
    get { objective.clipEpsilonLow }
    set {
      objective.clipEpsilonLow = newValue
      objective.clipEpsilonHigh = newValue
    }
  }
}
