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
