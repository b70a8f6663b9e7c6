import Objectives

/// Reinforcement by GRPO/DAPO (the `rl` section): batch, schedule, sampling and the objective's coefficients.
public struct ReinforcementConfiguration: Sendable, Equatable {
  /// The loss: advantage and aggregation modes, coefficients, trajectory length and temperature.
  public var objective = ObjectiveConfiguration()
  /// Peak learning rate.
  public var learningRate = 3e-4
  /// GRPO groups (prompts) per optimizer step, over all ranks.
  public var batchSize = 4
  /// Trajectories of one group, G.
  public var numTrajectories = 4
  /// The global gradient norm is clipped to this.
  public var maxGradNorm = 1.0
  /// Optimizer steps of the run.
  public var numEpochs = 1000
  /// Optimizer steps of linear warm-up.
  public var warmupSteps = 1000
  /// Whether weight-gradient products read their operands rounded to bfloat16; false keeps them in fp32.
  public var useMixedPrecision = true
  /// Micro-batches that an optimizer step is split into.
  public var accumulationSteps = 1
  /// Optimizer steps between publications of π_old.
  public var oldPolicyInterval = 1
  /// Whether the backward pass recomputes each layer's activations instead of keeping them.
  public var gradientCheckpointing = false
  /// Step of the balance biases towards even load; 0 turns balancing off.
  public var balanceRate = 0.001
  /// Samples only among this many most likely tokens; 0 means all.
  public var topK = 0
  /// Samples only among the most likely tokens that hold this much probability; 1 means all.
  public var topP = 1.0
  /// Tokens before the length limit in which DAPO's overlong penalty grows; 0 means no penalty.
  public var overlongCache = 0
  /// Whether trajectories that met the length limit are left out of the loss (they still count in their group).
  public var overlongFilter = false
  /// Whether groups with equal raw rewards are replaced by further prompts (DAPO's dynamic sampling).
  public var dynamicSampling = false
  /// How often dynamic sampling draws again, at most.
  public var maxResampleTimes = 3
  /// Passes over the groups of one rollout.
  public var ppoEpochs = 1
  /// Optimizer steps of one pass; a rollout has this many times `batchSize` groups.
  public var miniBatches = 1
  /// The entropy that the entropy coefficient is moved towards, nats; 0 keeps the coefficient.
  public var entropyTarget = 0.0
  /// How far a step moves the coefficient.
  public var entropyDelta = 0.001
  /// The coefficient's upper limit; the lower one is 0.
  public var entropyCoefMax = 0.1
  /// Decoupled weight decay of AdamW.
  public var weightDecay = 0.01
  /// Seed of every random number of the run.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}

  /// Both sides of the ratio's clipping at once; reads the lower side.
  public var clipEpsilon: Double {
    get { objective.clipEpsilonLow }
    set {
      objective.clipEpsilonLow = newValue
      objective.clipEpsilonHigh = newValue
    }
  }
}
