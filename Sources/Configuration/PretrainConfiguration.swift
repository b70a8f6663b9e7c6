/// Supervised next-token training before reinforcement (the `pretrain` section).
///
/// Gradient clipping, weight decay, balance rate, accumulation, recomputation and seed are those of `rl`.
public struct PretrainConfiguration: Sendable, Equatable {
  /// Optimizer steps.
  public var steps = 1000
  /// Sequences per optimizer step, over all ranks.
  public var batchSize = 32
  /// Peak learning rate.
  public var learningRate = 3e-4
  /// Optimizer steps of linear warm-up.
  public var warmupSteps = 100
  /// Tokens of one sequence of a text, at most; demonstrations stay whole.
  public var sequenceLength = 512
  /// Optimizer steps between evaluations on the held-out part; 0 evaluates before and after only.
  public var evalEvery = 100
  /// Ends pre-training early, at the first evaluation whose greedy exact match reaches this; 0: never.
  public var stopAtExactMatch = 0.0
  /// Weight of the routers' load-balance loss.
  public var auxLossCoef = 0.01
  /// Weight of the denoiser's bit cross-entropy.
  public var diffusionLossCoef = 0.1

  /// The defaults.
  public init() {}
}
