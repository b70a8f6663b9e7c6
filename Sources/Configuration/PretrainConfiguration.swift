/// Supervised next-token training before reinforcement (the `pretrain` section).
///
/// Gradient clipping, weight decay, balance rate, accumulation, recomputation and seed are taken from `rl`.
public struct PretrainConfiguration: Sendable, Equatable {
  /// Optimizer steps.
  public var steps = 1000
  /// Sequences per optimizer step, over all ranks.
  public var batchSize = 32
  /// Peak learning rate.
  public var learningRate = 3e-4
  /// Optimizer steps of linear warm-up.
  public var warmupSteps = 100
  /// Maximum tokens of one sequence of a text; demonstrations are not split.
  public var sequenceLength = 512
  /// Whether demonstrations train on the answer only; otherwise on prompt and answer.
  public var completionOnlyLoss = true
  /// Optimizer steps between evaluations on held-out data; 0 means only before and after training.
  public var evalEvery = 100
  /// Pre-training ends early at the first evaluation whose greedy exact match reaches this value; 0 means never.
  public var stopAtExactMatch = 0.0
  /// Pre-training ends early at the first evaluation whose greedy mean reward reaches this value; 0 means never.
  public var stopAtReward = 0.0
  /// Weight of the routers' load-balance loss.
  public var auxLossCoef = 0.01
  /// Weight of the denoiser's bit cross-entropy.
  public var diffusionLossCoef = 0.1

  /// The defaults.
  public init() {}
}
