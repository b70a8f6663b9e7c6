/// Evaluation on the held-out split (the `evaluation` section).
public struct EvaluationConfiguration: Sendable, Equatable {
  /// Optimizer steps between evaluations during training; 0 evaluates before and after only.
  public var every = 100
  /// Held-out prompts of one evaluation, or windows of held-out text.
  public var count = 200
  /// Sampled completions per prompt, besides the greedy one; 0 means greedy only.
  public var samples = 0
  /// Temperature of the sampled completions.
  public var temperature = 1.0

  /// Further built-in tasks that are evaluated beside the one that is trained on.
  public var tasks: [TaskConfiguration] = []
  /// Whether a run keeps the weights of its best evaluation.
  public var keepBest = true

  /// The defaults.
  public init() {}
}
