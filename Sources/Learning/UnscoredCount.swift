import Rollouts

/// Number of a step's completions without a score, by reason.
public struct UnscoredCount: Sendable, Equatable {
  /// Number of completions of the step.
  public let completions: Int
  public let counts: [UnscoredReason: Int]

  public init(completions: Int, counts: [UnscoredReason: Int]) {
    self.completions = completions
    self.counts = counts
  }

  init(_ records: [RolloutRecord]) {
    var counts: [UnscoredReason: Int] = [:]
    for record in records { counts.merge(record.unscored, uniquingKeysWith: +) }
    self.init(completions: records.reduce(0) { $0 + $1.scored } + counts.values.reduce(0, +), counts: counts)
  }

  public var total: Int { counts.values.reduce(0, +) }

  /// Whether no completion has a score.
  public var isEverything: Bool { completions > 0 && total == completions }

  /// Metrics by name. An unusable answer counts as `invalid` and by its kind.
  var metrics: [String: Double] {
    var metrics: [String: Double] = [:]
    for (reason, count) in counts where count > 0 {
      for name in reason.metrics { metrics[name, default: 0] += Double(count) }
    }
    return metrics
  }

  /// "3 of 16 completions have no score (2 no answer in time, 1 null)".
  public var text: String {
    let reasons = UnscoredReason.allCases.compactMap { reason in
      counts[reason].map { "\($0) \(reason.text)" }
    }
    let subject =
      isEverything
      ? "none of \(completions) completions has a score" : "\(total) of \(completions) completions have no score"
    return "\(subject) (\(reasons.joined(separator: ", ")))"
  }
}
