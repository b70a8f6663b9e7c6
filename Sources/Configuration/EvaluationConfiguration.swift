/// Evaluation on the held-out split (the `evaluation` section).
public struct EvaluationConfiguration: Sendable, Equatable {
  /// Optimizer steps between evaluations during training; 0 means only before and after training.
  public var every = 100
  /// Number of held-out prompts, or of windows of held-out text, in one evaluation.
  public var count = 200
  /// Sampled completions per prompt, in addition to the greedy completion.
  public var samples = 0
  /// Temperature of the sampled completions.
  public var temperature = 1.0

  /// Further built-in tasks to evaluate.
  public var tasks: [TaskConfiguration] = []
  /// Sources of prompts that are only evaluated, completely.
  public var sources: [DataSourceConfiguration] = []
  /// A completion is right if its main reward reaches this.
  public var threshold = 1.0
  /// The metric that the best weights, patience and the guard follow; nil means `BestEvaluation`'s choice.
  public var metric: String?
  /// Whether the run keeps the weights of the best evaluation.
  public var keepBest = true

  /// Number of evaluations in a row without a new best value after which reinforcement ends; 0 means never.
  public var patience = 0

  /// The defaults.
  public init() {}
}
