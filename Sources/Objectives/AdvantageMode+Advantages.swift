extension AdvantageMode {
  /// The advantage Â_i of every trajectory of one group, from their rewards R_i.
  ///
  /// `clip01`: clip((R − mean)/(std + epsilon), 0, 1). `standardized`: the same without the clip (GRPO, DeepSeekMath).
  /// `groupMean`: R − mean (Dr. GRPO). `leaveOneOut`: R minus the mean of the other rewards (RLOO). A group whose
  /// rewards are all equal has Â = 0 exactly, in every mode.
  ///
  /// - Throws: `ObjectiveError` where a reward is not finite.
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
  /// - Throws: `ObjectiveError` where a reward is not finite.
  public func advantages(of rewards: [Double]) throws(ObjectiveError) -> [Double] {
    try advantage.advantages(of: rewards, deviation: advantageStd, epsilon: advantageEpsilon)
  }
}
