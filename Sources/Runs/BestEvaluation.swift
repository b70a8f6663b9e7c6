import Configuration

/// The best evaluation of a run.
///
/// Evaluations on text are compared by bits per byte. Evaluations on prompts are compared by `evaluation.metric`. Without
/// it, they are compared by exact match if a reward of each source compares completions with the exact answer
/// (`exact_match`, `partial_credit`); by pass rate if a reward of each source is also `numeric_match`; otherwise by
/// reward, since a pass rate may then be 0 for long. Equal values are compared by reward.
struct BestEvaluation: Sendable {
  /// Bits per byte, for which lower is better.
  static let textMeasure = "eval/bits_per_byte"
  private static let losses: Set<String> = [textMeasure, "eval/cross_entropy"]

  /// The metrics to compare by, of which the first that an evaluation has counts.
  private let measures: [String]
  /// Number of comparable evaluations after the best.
  private(set) var since = 0
  /// The best score so far, compared lexicographically.
  private var best: [Double]?

  init(_ configuration: RunConfiguration) {
    if let metric = configuration.evaluation.metric {
      measures = ["eval/\(RunConfiguration.metricName(metric))", Self.textMeasure]
      return
    }
    func all(_ names: Set<RewardConfiguration.Name>) -> Bool {
      configuration.data.trainedRewards.allSatisfy { rewards in rewards.contains { names.contains($0.name) } }
    }
    let ofPrompts =
      all([.exactMatch, .partialCredit])
      ? ["eval/exact_match"]
      : all([.exactMatch, .partialCredit, .numericMatch]) ? ["eval/pass_rate", "eval/reward"] : ["eval/reward"]
    measures = [Self.textMeasure] + ofPrompts
  }

  /// The first metric of the comparison, if `values` contains it.
  func measure(of values: [String: Double]) -> String? { measures.first { values[$0] != nil } }

  /// Whether lower values of a metric are better.
  static func isLoss(_ measure: String) -> Bool { losses.contains(measure) }

  /// The score of an evaluation; higher is better. Nil if the evaluation cannot be compared.
  private func score(_ values: [String: Double]) -> [Double]? {
    guard let name = measure(of: values), let value = values[name], value.isFinite else { return nil }
    return Self.isLoss(name) ? [-value] : [value, values["eval/reward"] ?? -.infinity]
  }

  /// Whether an evaluation is better than all earlier ones.
  func isImproved(by values: [String: Double]) -> Bool {
    guard let score = score(values) else { return false }
    return best.map { $0.lexicographicallyPrecedes(score) } ?? true
  }

  mutating func add(_ values: [String: Double]) {
    guard let score = score(values) else { return }
    if isImproved(by: values) { (best, since) = (score, 0) } else { since += 1 }
  }
}
