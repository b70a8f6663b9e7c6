extension Evaluator {
  /// The results on a set of held-out prompts.
  public struct TaskResult: Sendable, Equatable {
    public let task: String
    /// `greedy` or `sampled`.
    public let mode: String
    public let prompts: Int
    /// Completions per prompt.
    public let samples: Int
    /// Means over completions: of exact match, of right completions (the main reward reaches `evaluation.threshold`),
    /// and of the weighted reward of scored completions (nil if no completion has a score).
    public let exactMatch: Double
    public let passRate: Double
    public let reward: Double?
    /// The mean of each reward before its weight over the scored completions, by name.
    public let rewards: [String: Double]
    public let meanLength: Double
    /// Share of completions that reached the end token.
    public let finished: Double
    /// Completions without a reward.
    public let unscored: Int
    /// For k = 1, 2, 4, … and the number of samples: the mean probability that at least one of k samples is right
    /// (`PassRate`).
    public let passAt: [Int: Double]
    /// The first completions of rank 0.
    public let examples: [CompletionSample]
    /// All completions as JSON Lines, on rank 0 and only on request.
    public let completions: String
  }
}

extension Evaluator.TaskResult {
  /// Number of completions.
  private var count: Double { Double(prompts * samples) }
  /// Number of completions with a score.
  private var scored: Double { count - Double(unscored) }

  /// The results of several sets of prompts as those of one set.
  ///
  /// - Parameter results: at least one, all of one mode and number of samples; one result is returned unchanged.
  public static func pooled(_ results: [Self], task: String) -> Self {
    precondition(!results.isEmpty, "no results to pool")
    if results.count == 1 { return results[0] }
    func mean(_ value: (Self) -> Double?, _ weight: (Self) -> Double) -> Double? {
      var (sum, weights) = (0.0, 0.0)
      for result in results {
        guard let value = value(result), weight(result) > 0 else { continue }
        sum += weight(result) * value
        weights += weight(result)
      }
      return weights > 0 ? sum / weights : nil
    }
    let names = Set(results.flatMap(\.rewards.keys))
    return Self(
      task: task, mode: results[0].mode, prompts: results.reduce(0) { $0 + $1.prompts }, samples: results[0].samples,
      exactMatch: mean(\.exactMatch, \.count) ?? 0, passRate: mean(\.passRate, \.count) ?? 0,
      reward: mean(\.reward, \.scored),
      rewards: Dictionary(
        uniqueKeysWithValues: names.compactMap { name in mean({ $0.rewards[name] }, \.scored).map { (name, $0) } }),
      meanLength: mean(\.meanLength, \.count) ?? 0, finished: mean(\.finished, \.count) ?? 0,
      unscored: results.reduce(0) { $0 + $1.unscored },
      passAt: Dictionary(
        uniqueKeysWithValues: results[0].passAt.keys.map { k in
          (k, mean({ $0.passAt[k] }, { Double($0.prompts) }) ?? 0)
        }),
      examples: Array(results.flatMap(\.examples).prefix(8)), completions: results.map(\.completions).joined())
  }
}
