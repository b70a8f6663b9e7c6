// From the rewards R of one group of G trajectories to their advantages Â.

extension AdvantageMode {
  /// The advantage Â_i of every trajectory of one group, from their rewards R_i.
  ///
  /// `clip01`: clip((R − mean)/(std + epsilon), 0, 1). `standardized`: the same without the clip (GRPO, DeepSeekMath).
  /// `groupMean`: R − mean (Dr. GRPO). `leaveOneOut`: R minus the mean of the other rewards (RLOO). A group whose
  /// rewards are all equal has Â = 0 exactly, in every mode.
  ///
  /// - Throws: `ObjectiveError` if a reward is not finite.
  public func advantages(
    of rewards: [Double], deviation: DeviationEstimator = .population, epsilon: Double = 1e-8
  ) throws(ObjectiveError) -> [Double] {
    let statistics = try RewardStatistics(of: rewards)
    guard !statistics.isUniform else { return [Double](repeating: 0, count: rewards.count) }
    let count = Double(rewards.count)
    let divisor =
      switch deviation {
      case .population: statistics.standardDeviation
      case .sample: statistics.standardDeviation * (count / (count - 1)).squareRoot()
      }
    return rewards.map { reward in
      let difference = reward - statistics.mean
      let standardized = difference / (divisor + epsilon)
      return switch self {
      case .clip01: min(max(standardized, 0), 1)
      case .standardized: standardized
      case .groupMean: difference
      case .leaveOneOut: difference * count / (count - 1)
      }
    }
  }
}

extension ObjectiveConfiguration {
  /// The advantages of one group by this configuration's mode, deviation and epsilon.
  ///
  /// - Throws: `ObjectiveError` if a reward is not finite.
  public func advantages(of rewards: [Double]) throws(ObjectiveError) -> [Double] {
    try advantage.advantages(of: rewards, deviation: advantageStd, epsilon: advantageEpsilon)
  }
}

/// Mean and population standard deviation of one group's rewards, in float64 and two passes.
public struct RewardStatistics: Sendable, Equatable {
  public let mean: Double
  public let standardDeviation: Double
  /// Whether all rewards are equal. Such a group has nothing to teach; its advantages are exactly 0.
  public let isUniform: Bool

  /// - Throws: `ObjectiveError` if a reward is not finite or the spread of the rewards overflows.
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
