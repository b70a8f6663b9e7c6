/// Mean and population standard deviation of one group's rewards, in float64 and two passes.
public struct RewardStatistics: Sendable, Equatable {
  public let mean: Double
  public let standardDeviation: Double
  /// Whether all rewards are equal. Such a group has nothing to teach; its advantages are exactly 0.
  public let isUniform: Bool

  /// - Throws: `ObjectiveError` where a reward is not finite or their spread overflows.
  public init(of rewards: [Double]) throws(ObjectiveError) {
    for (index, reward) in rewards.enumerated() where !reward.isFinite {
      throw .nonFiniteReward(trajectory: index, reward: reward)
    }
    isUniform = rewards.allSatisfy { $0 == rewards[0] }
    guard !isUniform else {
      mean = rewards.first ?? 0
      standardDeviation = 0
      return
    }
    let count = Double(rewards.count)
    var sum = 0.0
    for reward in rewards { sum += reward }
    let mean = sum / count
    var squares = 0.0
    for reward in rewards { squares += (reward - mean) * (reward - mean) }
    guard squares.isFinite else { throw .rewardsOverflow(largest: rewards.map(abs).max() ?? 0) }
    self.mean = mean
    standardDeviation = (squares / count).squareRoot()
  }
}
