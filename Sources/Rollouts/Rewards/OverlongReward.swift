/// DAPO's soft punishment of long completions: with y tokens, the maximum L and the cache c,
///
///     score = 0 for y ≤ L − c;  ((L − c) − y) / c for L − c < y ≤ L;  −1 beyond.
///
/// Source: Yu et al., DAPO (2025), equation 13, with its plateau, as in TRL; in verl the score falls below −1.
public struct OverlongReward: Reward {
  public let name = "overlong"
  /// L, in tokens.
  public let maximumLength: Int
  /// c, in tokens.
  public let cache: Int

  /// - Throws: `RewardError` if the cache is not in 1 … maximumLength.
  public init(maximumLength: Int, cache: Int) throws(RewardError) {
    if cache < 1 || cache > maximumLength {
      throw RewardError(
        reward: "overlong", problem: "a cache of \(cache) tokens below a maximum of \(maximumLength)",
        remedy: "give a cache from 1 to the maximum")
    }
    self.maximumLength = maximumLength
    self.cache = cache
  }

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    penalty(tokens: completionTokens)
  }

  /// The score of a completion of `tokens` tokens.
  public func penalty(tokens: Int) -> Double {
    min(0, max(-1, Double(maximumLength - cache - tokens) / Double(cache)))
  }
}
