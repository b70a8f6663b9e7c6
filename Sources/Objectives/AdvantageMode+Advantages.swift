extension AdvantageMode {
  /// The advantage Â_i of every trajectory of one group, from their rewards R_i.
  ///
  /// `clip01`: clip((R − mean)/(std + 1e-8), 0, 1). `standardized`: the same without the clip (GRPO, DeepSeekMath).
  /// `groupMean`: R − mean (Dr. GRPO). A group whose rewards are all equal has Â = 0 exactly, in every mode.
  ///
  /// - Throws: `ObjectiveError` where a reward is not finite.
  public func advantages(of rewards: [Double]) throws(ObjectiveError) -> [Double] {
    let statistics = try RewardStatistics(of: rewards)
    guard !statistics.isUniform else { return [Double](repeating: 0, count: rewards.count) }
    return rewards.map { reward in
      let difference = reward - statistics.mean
      let standardized = difference / (statistics.standardDeviation + 1e-8)
      return switch self {
      case .clip01: min(max(standardized, 0), 1)
      case .standardized: standardized
      case .groupMean: difference
      }
    }
  }
}
