import Learning
import Rollouts

// For programs with a loop of their own, instead of `TrainingRun`.
extension RunAssembly {
  /// A trainer with the configured optimizer. Collective.
  ///
  /// - Parameters:
  ///   - prompts: the prompts to learn from; nil: the configured prompts.
  ///   - rewards: the rewards of their completions; nil: the configured rewards.
  ///   - path: the weights to begin with; nil: `checkpoint.weights`, or initial weights.
  public func trainer(
    prompts: (any PromptSource)? = nil, rewards: WeightedRewards? = nil, weights path: String? = nil
  ) throws -> Trainer {
    try Trainer(
      configuration: configuration, learner: learner(masters(weights: path)),
      prompts: prompts ?? self.prompts(), tokenizer: tokenizer, rewards: rewards ?? self.rewards())
  }

  /// Measures weights on held-out data.
  public var evaluator: Evaluator {
    Evaluator(
      configuration: configuration, model: model, tokenizer: tokenizer, communicator: communicator, context: context)
  }
}
