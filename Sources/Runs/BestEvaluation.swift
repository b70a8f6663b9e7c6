import Configuration

/// The best evaluation of a run.
///
/// Evaluations on text are compared by bits per byte. Evaluations on prompts are compared by exact match, then reward,
/// if a reward compares completions with the exact answer (`exact_match`, `partial_credit`); otherwise by reward alone,
/// since exact match may then be meaningless.
struct BestEvaluation: Sendable {
  /// Bits per byte, for which lower is better.
  static let textMeasure = "eval/bits_per_byte"

  private let followsExactMatch: Bool
  /// Number of comparable evaluations after the best.
  private(set) var since = 0
  /// The best score so far, compared lexicographically.
  private var best: [Double]?

  init(rewards: [RewardConfiguration]) {
    followsExactMatch = rewards.contains { $0.name == .exactMatch || $0.name == .partialCredit }
  }

  /// The first metric of the comparison, if `values` contains it.
  func measure(of values: [String: Double]) -> String? {
    [Self.textMeasure, followsExactMatch ? "eval/exact_match" : "eval/reward"].first { values[$0] != nil }
  }

  /// The score of an evaluation; higher is better. Nil if the evaluation cannot be compared.
  private func score(_ values: [String: Double]) -> [Double]? {
    guard let name = measure(of: values), let value = values[name], value.isFinite else { return nil }
    if name == Self.textMeasure { return [-value] }
    return followsExactMatch ? [value, values["eval/reward"] ?? -.infinity] : [value]
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
