/// A reward of the completion's length n in tokens that is linear between two bounds:
///
///     score = clip((zeroAt − n) / (zeroAt − fullAt), 0, 1)
///
/// Shorter is better if fullAt < zeroAt, longer if fullAt > zeroAt.
public struct LengthReward: Reward {
  public let name = "length"
  /// The tokens at which, and beyond which, the score is 1.
  public let fullAt: Int
  /// The tokens at which, and beyond which, the score is 0.
  public let zeroAt: Int

  /// - Throws: `RewardError` if the bounds are equal or negative.
  public init(fullAt: Int, zeroAt: Int) throws(RewardError) {
    if fullAt == zeroAt || fullAt < 0 || zeroAt < 0 {
      throw RewardError(
        reward: "length", problem: "the bounds \(fullAt) and \(zeroAt) tokens",
        remedy: "give two different counts from 0")
    }
    self.fullAt = fullAt
    self.zeroAt = zeroAt
  }

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    min(1, max(0, Double(zeroAt - completionTokens) / Double(zeroAt - fullAt)))
  }
}
