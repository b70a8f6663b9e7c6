import Rollouts

extension TrainingRun {
  private var evaluator: Evaluator {
    Evaluator(
      configuration: configuration, model: assembly.model, tokenizer: assembly.tokenizer,
      communicator: communicator, context: assembly.context)
  }

  /// Greedy answers to held-out prompts, and some of them. Collective.
  func evaluateTask(_ prompts: any PromptSource, _ rewards: WeightedRewards, _ learner: Learner) throws
    -> ([String: Double], [SamplesWriter.Sample])
  {
    let count = min(configuration.evaluation.count, prompts.heldOutCount ?? configuration.evaluation.count)
    guard count > 0 else { return ([:], []) }
    let result = try evaluator.task(prompts, rewards, count: count, samples: 0, learner.wholeWeights().weights)
    return (
      ["eval/exact_match": result.exactMatch, "eval/reward": result.reward, "eval/mean_length": result.meanLength],
      result.examples
    )
  }

  /// Bits per byte on held-out text. Collective.
  func evaluateText(_ stream: TokenStream, _ learner: Learner) throws
    -> ([String: Double], [SamplesWriter.Sample])
  {
    let length = min(configuration.pretrain.sequenceLength, configuration.model.maxSeqLen)
    let result = try evaluator.text(stream, length: length, learner.wholeWeights().weights)
    return (["eval/bits_per_byte": result.bitsPerByte, "eval/cross_entropy": result.crossEntropy], [])
  }
}
