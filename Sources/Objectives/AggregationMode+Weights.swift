extension AggregationMode {
  /// The weight of every generated token of each trajectory of one group, such that J = Σ weight · objective over the
  /// batch. With n_i generated tokens in trajectory i of G:
  ///
  /// | mode | weight | so that J is |
  /// |---|---|---|
  /// | `groupTokenMean` | 1/(groups · Σ n_i) | the mean over groups of the mean over a group's tokens (DAPO) |
  /// | `tokenMean` | 1/(tokens of the batch) | the mean over all tokens |
  /// | `sequenceMean` | 1/(groups · G · n_i) | the mean over groups and trajectories of the mean over tokens (GRPO) |
  /// | `drGRPO` | 1/(groups · G · maxTrajectoryLen) | the sum over a constant (Dr. GRPO) |
  ///
  /// A trajectory without generated tokens counts in G; its weight is 0 where the formula would divide by 0, so that
  /// an empty mask gives J = 0.
  ///
  /// - Parameter tokenCounts: n_i of the group's trajectories.
  public func weights(tokenCounts: [Int], batch: BatchCounts, maxTrajectoryLen: Int) -> [Double] {
    let groups = Double(batch.groups)
    let trajectories = Double(tokenCounts.count)
    let tokensOfGroup = Double(tokenCounts.reduce(0, +))
    return tokenCounts.map { count in
      let divisor =
        switch self {
        case .groupTokenMean: groups * tokensOfGroup
        case .tokenMean: Double(batch.generatedTokens)
        case .sequenceMean: groups * trajectories * Double(count)
        case .drGRPO: groups * trajectories * Double(maxTrajectoryLen)
        }
      return count > 0 && divisor > 0 ? 1 / divisor : 0
    }
  }
}

/// The counts over which one optimizer step averages, over all ranks and micro-batches.
///
/// Losses are divided by these counts, never by the counts of a micro-batch or of one rank, so the division of a batch
/// changes nothing.
public struct BatchCounts: Sendable, Equatable {
  /// GRPO groups.
  public let groups: Int
  /// Generated tokens of all groups; only `AggregationMode.tokenMean` uses it.
  public let generatedTokens: Int

  public init(groups: Int, generatedTokens: Int) {
    precondition(groups > 0 && generatedTokens >= 0, "\(groups) groups with \(generatedTokens) generated tokens")
    self.groups = groups
    self.generatedTokens = generatedTokens
  }
}
