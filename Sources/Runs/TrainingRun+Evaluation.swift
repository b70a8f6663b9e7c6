import Learning
import MPI
import Rollouts
import Telemetry

extension TrainingRun {
  /// Evaluates sets of prompts, greedily and sampled. Collective.
  ///
  /// - Returns: Metrics, and sample completions of the main sets.
  func evaluate(_ sets: [EvaluatedPrompts], _ rewards: WeightedRewards, _ learner: Learner) throws
    -> ([String: Double], [CompletionSample])
  {
    FlightRecorder.begin(ActivityLabel("evaluation"))
    defer { FlightRecorder.end() }
    var figures: [String: Double] = [:]
    var main: [(greedy: Evaluator.TaskResult, sampled: Evaluator.TaskResult?)] = []
    for set in sets {
      let evaluation = configuration.evaluation
      let count = min(evaluation.count, set.source.heldOutCount ?? evaluation.count)
      guard count > 0 else { continue }
      let weights = try learner.wholeWeights().weights
      let greedy = try assembly.evaluator.task(set.source, rewards, count: count, samples: 0, weights)
      let sampled =
        evaluation.samples > 0
        ? try assembly.evaluator.task(set.source, rewards, count: count, samples: evaluation.samples, weights) : nil
      if set.isMain { main.append((greedy, sampled)) }
      if let name = set.name { figures.merge(Self.figures(greedy, sampled, prefix: "eval/\(name)")) { $1 } }
    }
    guard !main.isEmpty else { return (figures, []) }
    let greedy = Evaluator.TaskResult.pooled(main.map(\.greedy), task: "all")
    let draws = main.compactMap(\.sampled)
    figures.merge(
      Self.figures(greedy, draws.isEmpty ? nil : .pooled(draws, task: "all"), prefix: "eval")
    ) { $1 }
    return (figures, greedy.examples)
  }

  /// The metrics of a set of prompts.
  private static func figures(
    _ greedy: Evaluator.TaskResult, _ sampled: Evaluator.TaskResult?, prefix: String
  ) -> [String: Double] {
    var figures = [
      "\(prefix)/exact_match": greedy.exactMatch, "\(prefix)/pass_rate": greedy.passRate,
      "\(prefix)/mean_length": greedy.meanLength,
    ]
    // A completion without a score never counts as 0.
    figures["\(prefix)/reward"] = greedy.reward
    if greedy.rewards.count > 1 {
      for (name, value) in greedy.rewards { figures["\(prefix)/rewards/\(name)"] = value }
    }
    if greedy.unscored > 0 { figures["\(prefix)/unscored"] = Double(greedy.unscored) }
    if let sampled {
      figures["\(prefix)/mean@\(sampled.samples)"] = sampled.passRate
      for (k, rate) in sampled.passAt { figures["\(prefix)/pass@\(k)"] = rate }
    }
    return figures
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
