import Learning
import MPI
import Rollouts
import Telemetry

extension TrainingRun {
  /// Evaluates held-out prompts of the run's task and of `evaluation.tasks`, greedily and sampled. Collective.
  ///
  /// - Returns: Metrics, and sample completions.
  func evaluateTask(_ prompts: any PromptSource, _ rewards: WeightedRewards, _ learner: Learner) throws
    -> ([String: Double], [CompletionSample])
  {
    FlightRecorder.begin(ActivityLabel("evaluation"))
    defer { FlightRecorder.end() }
    var (figures, examples) = try evaluate(prompts, rewards, learner, prefix: "eval")
    for (name, source) in try assembly.evaluationTasks() {
      figures.merge(try evaluate(source, rewards, learner, prefix: "eval/\(name)").0) { $1 }
    }
    if figures.isEmpty { examples = [] }
    return (figures, examples)
  }

  private func evaluate(
    _ prompts: any PromptSource, _ rewards: WeightedRewards, _ learner: Learner, prefix: String
  ) throws -> ([String: Double], [CompletionSample]) {
    let evaluation = configuration.evaluation
    let count = min(evaluation.count, prompts.heldOutCount ?? evaluation.count)
    guard count > 0 else { return ([:], []) }
    let weights = try learner.wholeWeights().weights
    let greedy = try assembly.evaluator.task(prompts, rewards, count: count, samples: 0, weights)
    var figures = ["\(prefix)/exact_match": greedy.exactMatch, "\(prefix)/mean_length": greedy.meanLength]
    // A completion without a score never counts as 0.
    figures["\(prefix)/reward"] = greedy.reward
    if greedy.unscored > 0 { figures["\(prefix)/unscored"] = Double(greedy.unscored) }
    if evaluation.samples > 0 {
      let sampled = try assembly.evaluator.task(prompts, rewards, count: count, samples: evaluation.samples, weights)
      figures["\(prefix)/mean@\(evaluation.samples)"] = sampled.exactMatch
      for (k, rate) in sampled.passAt { figures["\(prefix)/pass@\(k)"] = rate }
    }
    return (figures, greedy.examples)
  }

  /// Bits per byte on `evaluation.count` windows of held-out text. Collective.
  func evaluateText(_ stream: TokenStream, _ learner: Learner) throws
    -> ([String: Double], [CompletionSample])
  {
    FlightRecorder.begin(ActivityLabel("evaluation"))
    defer { FlightRecorder.end() }
    let length = min(configuration.pretrain.sequenceLength, configuration.model.maxSeqLen)
    let result = try assembly.evaluator.text(
      stream, length: length, count: configuration.evaluation.count, learner.wholeWeights().weights)
    return (["eval/bits_per_byte": result.bitsPerByte, "eval/cross_entropy": result.crossEntropy], [])
  }
}
