/// The objective of one GRPO group: G trajectories τ_i of one prompt, with rewards R_i and lengths.
///
/// Everything that couples trajectories (advantages, divisors) follows from rewards and lengths, which are known after
/// the rollout. So trajectories can be evaluated one by one, in any micro-batch, and their terms add up.
///
///     J = Σ_i Σ_t weight_i · min(r_it Â_i, clip(r_it) Â_i)
///     loss = −policyCoef · J − entropyCoef · H + valueCoef · L_value + klCoef · KL (+ aux and diffusion, from the model)
///
/// Shapes: G trajectories of the group, n_i generated tokens of trajectory i; signals and their gradients [n_i].
///
/// H, L_value and KL are means over a group's generated tokens, then over groups, in every aggregation mode. Sums are
/// float64, in order of position, then of trajectory.
public struct GroupObjective: Sendable {
  public let configuration: ObjectiveConfiguration
  /// R_i of each sequence.
  public let rewards: [Double]
  /// R of each trajectory: equal to `rewards` unless a trajectory has several sequences.
  public let trajectoryRewards: [Double]
  /// Generated tokens of each sequence.
  public let tokenCounts: [Int]
  /// Â_i.
  public let advantages: [Double]
  /// The weight in policyCoef · J of each generated token of trajectory i.
  public let tokenWeights: [Double]
  /// The weight of a generated token in H, L_value and KL: 1/(groups · Σ n_i), or 0 without any.
  public let meanWeight: Double
  /// The weight of a sequence in L_aux and L_diff: 1/(groups · sequences of the group).
  public let trajectoryWeight: Double

  /// - Parameters:
  ///   - batch: the counts of the whole optimizer step.
  ///   - owners: if a trajectory has several sequences, the trajectory of each sequence (0, 1, … in order of first
  ///     sequences). G, the statistics and n_i are then of trajectories; L_aux and L_diff are means over sequences.
  /// - Throws: `ObjectiveError` if a reward is not finite.
  public init(
    configuration: ObjectiveConfiguration, rewards: [Double], tokenCounts: [Int], batch: BatchCounts,
    owners: [Int]? = nil
  ) throws(ObjectiveError) {
    precondition(
      !rewards.isEmpty && rewards.count == tokenCounts.count,
      "\(rewards.count) rewards for \(tokenCounts.count) trajectories")
    self.configuration = configuration
    self.rewards = rewards
    self.tokenCounts = tokenCounts
    let owners = owners ?? Array(rewards.indices)
    precondition(owners.count == rewards.count, "\(owners.count) owners of \(rewards.count) sequences")
    let count = (owners.max() ?? 0) + 1
    var trajectoryRewards = [Double](repeating: 0, count: count)
    var trajectoryTokens = [Int](repeating: 0, count: count)
    for (sequence, owner) in owners.enumerated() {
      trajectoryRewards[owner] = rewards[sequence]
      trajectoryTokens[owner] += tokenCounts[sequence]
    }
    self.trajectoryRewards = trajectoryRewards
    let trajectoryAdvantages = try configuration.advantages(of: trajectoryRewards)
    let weights = configuration.aggregation.weights(
      tokenCounts: trajectoryTokens, batch: batch, maxTrajectoryLen: configuration.maxTrajectoryLen)
    advantages = owners.map { trajectoryAdvantages[$0] }
    tokenWeights = owners.map { configuration.policyCoef * weights[$0] }
    let tokens = tokenCounts.reduce(0, +)
    meanWeight = tokens > 0 ? 1 / (Double(batch.groups) * Double(tokens)) : 0
    trajectoryWeight = 1 / (Double(batch.groups) * Double(rewards.count))
  }

  /// Whether a generated token has an advantage; otherwise J is 0 whatever the policy does.
  public var teaches: Bool { zip(advantages, tokenCounts).contains { $0 != 0 && $1 > 0 } }

  /// d(total loss)/d(entropy) of every generated token.
  public var entropyGradient: Float { Float(-configuration.entropyCoef * meanWeight) }

  /// The terms of trajectory `index`. Writes d(total loss)/d(log π_θ) and d(total loss)/d(value) of each generated
  /// token. Allocates nothing.
  ///
  /// - Precondition: `signals` has the trajectory's number of generated tokens, and reference log-probabilities if
  ///   `klCoef` is not 0.
  public func evaluate(
    trajectory index: Int, _ signals: TrajectorySignals.View,
    logProbabilityGradients: UnsafeMutableBufferPointer<Float>, valueGradients: UnsafeMutableBufferPointer<Float>
  ) -> (terms: ObjectiveTerms, statistics: RatioStatistics) {
    precondition(
      signals.count == tokenCounts[index],
      "trajectory \(index) generated \(tokenCounts[index]) tokens, got signals for \(signals.count)")
    precondition(
      logProbabilityGradients.count == signals.count && valueGradients.count == signals.count,
      "room for other than \(signals.count) gradients")
    let references = signals.referenceLogProbabilities
    precondition(configuration.klCoef == 0 || references != nil, "klCoef is not 0, but there is no reference")
    let weight = tokenWeights[index]
    let sequenceLogRatio = sequenceLogRatio(signals)
    var terms = ObjectiveTerms()
    var statistics = RatioStatistics()

    for position in 0..<signals.count {
      let token = token(index, position, signals, sequenceLogRatio)
      let logProbability = Double(signals.logProbabilities[position])
      let logRatio = logProbability - Double(signals.oldLogProbabilities[position])
      statistics.add(token, logRatio: logRatio)
      terms.policy -= weight * token.objective
      var gradient = -weight * token.derivative

      if let references {
        let kl = configuration.klEstimator.value(logProbability - Double(references[position]))
        terms.kl += meanWeight * kl.estimate
        gradient += configuration.klCoef * meanWeight * kl.derivative
      }
      logProbabilityGradients[position] = Float(gradient)

      terms.entropy += meanWeight * Double(signals.entropies[position])
      let error = Double(signals.values[position]) - rewards[index]
      terms.value += meanWeight * error * error / 2
      valueGradients[position] = Float(configuration.valueCoef * meanWeight * error)
    }
    return (terms, statistics)
  }

  /// As above, with arrays.
  public func evaluate(trajectory index: Int, _ signals: TrajectorySignals) -> TrajectoryObjective {
    var logProbabilityGradients = [Float](repeating: 0, count: signals.count)
    var valueGradients = [Float](repeating: 0, count: signals.count)
    let outcome = signals.withView { view in
      logProbabilityGradients.withUnsafeMutableBufferPointer { logProbabilityGradients in
        valueGradients.withUnsafeMutableBufferPointer { valueGradients in
          evaluate(
            trajectory: index, view, logProbabilityGradients: logProbabilityGradients, valueGradients: valueGradients)
        }
      }
    }
    return TrajectoryObjective(
      terms: outcome.terms, statistics: outcome.statistics, logProbabilityGradients: logProbabilityGradients,
      entropyGradient: entropyGradient, valueGradients: valueGradients)
  }

  /// The surrogate at each generated token of trajectory `index`, before its weight.
  public func tokens(trajectory index: Int, _ signals: TrajectorySignals) -> [TokenObjective] {
    signals.withView { view in
      let sequenceLogRatio = sequenceLogRatio(view)
      return (0..<view.count).map { token(index, $0, view, sequenceLogRatio) }
    }
  }

  /// The log ratio that all tokens of a sequence share; nil if each token has its own.
  private func sequenceLogRatio(_ signals: TrajectorySignals.View) -> Double? {
    configuration.ratio == .sequence ? signals.meanLogRatio : nil
  }

  private func token(
    _ index: Int, _ position: Int, _ signals: TrajectorySignals.View, _ sequenceLogRatio: Double?
  ) -> TokenObjective {
    let (new, old) = (Double(signals.logProbabilities[position]), Double(signals.oldLogProbabilities[position]))
    return token(new, logRatio: sequenceLogRatio ?? new - old, advantage: advantages[index])
  }

  private func token(_ logProbability: Double, logRatio: Double, advantage: Double) -> TokenObjective {
    switch configuration.surrogate {
    case .clipped:
      TokenObjective(
        logRatio: logRatio, advantage: advantage, clipEpsilonLow: configuration.clipEpsilonLow,
        clipEpsilonHigh: configuration.clipEpsilonHigh, dualClip: configuration.dualClip)
    case .cispo:
      TokenObjective.cispo(
        logProbability: logProbability, logRatio: logRatio, advantage: advantage,
        clipEpsilonLow: configuration.clipEpsilonLow, clipEpsilonHigh: configuration.clipEpsilonHigh)
    }
  }

  /// All trajectories of the group; the terms are summed in their order.
  public func evaluate(
    _ trajectories: [TrajectorySignals]
  ) -> (terms: ObjectiveTerms, statistics: RatioStatistics, trajectories: [TrajectoryObjective]) {
    precondition(
      trajectories.count == rewards.count, "\(trajectories.count) trajectories in a group of \(rewards.count)")
    let results = trajectories.indices.map { evaluate(trajectory: $0, trajectories[$0]) }
    var terms = ObjectiveTerms()
    var statistics = RatioStatistics()
    for result in results {
      terms += result.terms
      statistics += result.statistics
    }
    return (terms, statistics, results)
  }
}
