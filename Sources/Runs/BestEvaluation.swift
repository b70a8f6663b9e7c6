import Configuration

/// Which of a run's evaluations is the best, and by what.
///
/// On text that is bits per byte. On prompts it is exact match, of equal ones the reward, if a reward compares with the
/// answer by the letter (`exact_match`, `partial_credit`); otherwise it is the reward alone, since exact match may then say
/// nothing.
struct BestEvaluation: Sendable {
  private let followsExactMatch: Bool
  /// The best so far; what comes first decides.
  private var best: [Double]?

  init(rewards: [RewardConfiguration]) {
    followsExactMatch = rewards.contains { $0.name == .exactMatch || $0.name == .partialCredit }
  }

  /// The figure that decides first, of an evaluation that has it.
  func measure(of values: [String: Double]) -> String? {
    ["eval/bits_per_byte", followsExactMatch ? "eval/exact_match" : "eval/reward"].first { values[$0] != nil }
  }

  /// What evaluations are compared by, more is better; nil: it cannot be compared.
  private func score(_ values: [String: Double]) -> [Double]? {
    guard let name = measure(of: values), let value = values[name], value.isFinite else { return nil }
    if name == "eval/bits_per_byte" { return [-value] }
    return followsExactMatch ? [value, values["eval/reward"] ?? -.infinity] : [value]
  }

  /// Whether an evaluation is better than all that were taken.
  func isImproved(by values: [String: Double]) -> Bool {
    guard let score = score(values) else { return false }
    return best.map { $0.lexicographicallyPrecedes(score) } ?? true
  }

  mutating func take(_ values: [String: Double]) {
    if isImproved(by: values) { best = score(values) }
  }
}
