import Foundation
import Objectives
import Testing

@Suite("The objective of a group")
struct GroupObjectiveTests {
  /// A group of four trajectories (one of them empty) on a grid of exact floats, with ratios beyond both bounds.
  static let tokenCounts = [3, 0, 4, 2]
  static let rewards = [1.0, 0.25, 0, 0.5]

  static func signals(trajectory: Int, bump: (position: Int, signal: Int, by: Float)? = nil) -> TrajectorySignals {
    func grid(_ signal: Int, _ position: Int, scale: Float, offset: Float) -> Float {
      let base = Float((trajectory * 37 + position * 11 + signal * 23) % 32) / 32 * scale + offset
      return bump.map { $0.signal == signal && $0.position == position } == true ? base + bump!.by : base
    }
    let positions = 0..<tokenCounts[trajectory]
    return TrajectorySignals(
      oldLogProbabilities: positions.map { grid(9, $0, scale: 1, offset: -2) },
      logProbabilities: positions.map { grid(0, $0, scale: 1, offset: -2) },
      entropies: positions.map { grid(1, $0, scale: 2, offset: 0.5) },
      values: positions.map { grid(2, $0, scale: 1, offset: 0) },
      referenceLogProbabilities: positions.map { grid(8, $0, scale: 1, offset: -2) })
  }

  static func configuration(_ advantage: AdvantageMode, _ aggregation: AggregationMode) -> ObjectiveConfiguration {
    var configuration = ObjectiveConfiguration()
    configuration.advantage = advantage
    configuration.aggregation = aggregation
    configuration.clipEpsilonHigh = 0.28
    configuration.klCoef = 0.05
    configuration.maxTrajectoryLen = 16
    return configuration
  }

  @Test("The golden groups' policy losses")
  func golden() throws {
    let groups = try ObjectiveGolden.load().groups
    #expect(groups.count == 3)
    for golden in groups {
      var configuration = ObjectiveConfiguration()
      configuration.advantage = try #require(AdvantageMode(rawValue: golden.advantage))
      configuration.clipEpsilonLow = golden.epsilon_low
      configuration.clipEpsilonHigh = golden.epsilon_high
      let counts = golden.new_logp.map(\.count)
      let objective = try GroupObjective(
        configuration: configuration, rewards: golden.rewards, tokenCounts: counts,
        batch: BatchCounts(groups: 1, generatedTokens: counts.reduce(0, +)))
      let zeros = counts.map { [Float](repeating: 0, count: $0) }
      let result = objective.evaluate(
        counts.indices.map {
          TrajectorySignals(
            oldLogProbabilities: golden.old_logp[$0], logProbabilities: golden.new_logp[$0], entropies: zeros[$0],
            values: zeros[$0])
        })
      #expect(abs(result.terms.policy - golden.policy_loss_group_token_mean) < 1e-6)
    }
  }

  @Test(
    "Every gradient equals a central difference of the total", arguments: AdvantageMode.allCases, KLEstimator.allCases)
  func gradients(mode: AdvantageMode, estimator: KLEstimator) throws {
    for aggregation in AggregationMode.allCases {
      var configuration = Self.configuration(mode, aggregation)
      configuration.klEstimator = estimator
      let objective = try GroupObjective(
        configuration: configuration, rewards: Self.rewards, tokenCounts: Self.tokenCounts,
        batch: BatchCounts(groups: 3, generatedTokens: 25))
      // 2⁻¹¹ is exact on the grid of the signals, so only the third derivative is left as error.
      let step: Float = 0x1p-11
      for trajectory in Self.tokenCounts.indices {
        let center = objective.evaluate(trajectory: trajectory, Self.signals(trajectory: trajectory))
        for position in 0..<Self.tokenCounts[trajectory] {
          let analytic = [
            center.logProbabilityGradients[position], center.entropyGradient, center.valueGradients[position],
          ]
          for signal in 0..<3 {
            let totals = [step, -step].map { by in
              objective.evaluate(
                trajectory: trajectory,
                Self.signals(trajectory: trajectory, bump: (position, signal, by))
              ).terms.total(configuration)
            }
            let difference = (totals[0] - totals[1]) / (2 * Double(step))
            #expect(
              abs(Double(analytic[signal]) - difference) < 1e-6, "\(aggregation) \(trajectory) \(position) \(signal)")
          }
        }
      }
    }
  }

  @Test("A batch's policy loss is the definition, over several groups", arguments: AggregationMode.allCases)
  func severalGroups(mode: AggregationMode) throws {
    let configuration = Self.configuration(.standardized, mode)
    let groups: [[Int]] = [[0, 2], [3, 1], [2, 3, 0]]
    let allTokens = groups.joined().map { Self.tokenCounts[$0] }.reduce(0, +)
    var loss = 0.0
    var groupMeans: [Double] = []
    var everything: [Double] = []
    var sequenceMeans: [Double] = []
    var constants: [Double] = []
    var entropy = 0.0
    for members in groups {
      let counts = members.map { Self.tokenCounts[$0] }
      let rewards = members.map { Self.rewards[$0] }
      let objective = try GroupObjective(
        configuration: configuration, rewards: rewards, tokenCounts: counts,
        batch: BatchCounts(groups: groups.count, generatedTokens: allTokens))
      let result = objective.evaluate(members.map { Self.signals(trajectory: $0) })
      loss += result.terms.policy
      entropy += result.terms.entropy
      let advantages = try AdvantageMode.standardized.advantages(of: rewards)
      let values = zip(members, advantages).map { member, advantage in
        let signals = Self.signals(trajectory: member)
        return zip(signals.logProbabilities, signals.oldLogProbabilities).map { new, old in
          let ratio = exp(Double(new) - Double(old))
          return min(ratio * advantage, min(max(ratio, 0.8), 1.28) * advantage)
        }
      }
      let flat = values.flatMap { $0 }
      everything += flat
      groupMeans.append(flat.reduce(0, +) / Double(flat.count))
      let means = values.map { $0.isEmpty ? 0 : $0.reduce(0, +) / Double($0.count) }
      sequenceMeans.append(means.reduce(0, +) / Double(means.count))
      constants.append(flat.reduce(0, +) / (16 * Double(members.count)))
    }
    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
    let expected =
      switch mode {
      case .groupTokenMean: mean(groupMeans)
      case .tokenMean: mean(everything)
      case .sequenceMean: mean(sequenceMeans)
      case .drGRPO: mean(constants)
      }
    #expect(abs(loss + expected) < 1e-12)
    let entropies = groups.map { mean($0.flatMap { Self.signals(trajectory: $0).entropies.map(Double.init) }) }
    #expect(abs(entropy - mean(entropies)) < 1e-12)
  }

  @Test("A group without generated tokens contributes nothing and breaks nothing", arguments: AggregationMode.allCases)
  func emptyMask(mode: AggregationMode) throws {
    let configuration = Self.configuration(.standardized, mode)
    let objective = try GroupObjective(
      configuration: configuration, rewards: [0, 1], tokenCounts: [0, 0],
      batch: BatchCounts(groups: 1, generatedTokens: 0))
    let empty = TrajectorySignals(
      oldLogProbabilities: [], logProbabilities: [], entropies: [], values: [], referenceLogProbabilities: [])
    let result = objective.evaluate([empty, empty])
    #expect(result.terms == ObjectiveTerms())
    #expect(result.terms.total(configuration) == 0)
    #expect(result.statistics.clipShareLow == 0 && result.statistics.k3Mean == 0)
  }

  @Test("On the policy that sampled, ratios are 1, nothing is clipped and both KL estimates are 0")
  func onPolicy() throws {
    let objective = try GroupObjective(
      configuration: ObjectiveConfiguration(), rewards: Self.rewards, tokenCounts: Self.tokenCounts,
      batch: BatchCounts(groups: 1, generatedTokens: 9))
    let result = objective.evaluate(
      Self.tokenCounts.indices.map {
        let signals = Self.signals(trajectory: $0)
        return TrajectorySignals(
          oldLogProbabilities: signals.logProbabilities, logProbabilities: signals.logProbabilities,
          entropies: signals.entropies, values: signals.values)
      })
    #expect(result.statistics.tokens == 9)
    #expect(result.statistics.ratioMean == 1 && result.statistics.ratioMaximum == 1)
    #expect(result.statistics.clippedLow == 0 && result.statistics.clippedHigh == 0)
    #expect(result.statistics.k1Mean == 0 && result.statistics.k3Mean == 0 && result.statistics.logRatioMaximum == 0)
    #expect(result.terms.kl == 0)
  }

  @Test("Clip shares count each side, and k1 and k3 average the log ratios")
  func statistics() throws {
    var configuration = ObjectiveConfiguration()
    configuration.advantage = .standardized
    let objective = try GroupObjective(
      configuration: configuration, rewards: [1, -1], tokenCounts: [2, 2],
      batch: BatchCounts(groups: 1, generatedTokens: 4))
    let shifts: [Float] = [0.5, -0.5]
    let signals = TrajectorySignals(
      oldLogProbabilities: [-1, -1], logProbabilities: shifts.map { $0 - 1 }, entropies: [0, 0], values: [0, 0])
    let statistics = objective.evaluate([signals, signals]).statistics
    #expect(statistics.clipShareHigh == 0.25 && statistics.clipShareLow == 0.25)
    #expect(statistics.k1Mean == 0 && abs(statistics.k3Mean - (cosh(0.5) - 1)) < 1e-15)
    #expect(statistics.ratioMaximum == exp(0.5) && statistics.logRatioMaximum == 0.5)
    #expect(abs(statistics.ratioMean - cosh(0.5)) < 1e-15)
  }

  @Test("The total weighs every term as the configuration says")
  func total() {
    var terms = ObjectiveTerms()
    (terms.policy, terms.entropy, terms.aux) = (-0.5385195759568197, 0.2670697522466061, 1.2003578237721828)
    (terms.diffusion, terms.value) = (0.7994899208961755, 0.5902624782206769)
    #expect(abs(terms.total(ObjectiveConfiguration()) + 0.15410646404160788) < 1e-12)
    terms.kl = 2
    var configuration = ObjectiveConfiguration()
    configuration.klCoef = 0.5
    #expect(abs(terms.total(configuration) - 0.84589353595839212) < 1e-12)
  }

  @Test("A group with a NaN reward is refused")
  func nonFiniteReward() {
    #expect(throws: ObjectiveError.self) {
      try GroupObjective(
        configuration: ObjectiveConfiguration(), rewards: [0, .nan], tokenCounts: [1, 1],
        batch: BatchCounts(groups: 1, generatedTokens: 2))
    }
  }

  @Test("A trajectory of two sequences counts once, and its tokens together", arguments: AggregationMode.allCases)
  func severalSequences(mode: AggregationMode) throws {
    let configuration = Self.configuration(.standardized, mode)
    let batch = BatchCounts(groups: 1, generatedTokens: 9)
    let split = try GroupObjective(
      configuration: configuration, rewards: [1, 0, 0, 0.5], tokenCounts: [3, 1, 3, 2], batch: batch,
      owners: [0, 1, 1, 2])
    let whole = try GroupObjective(
      configuration: configuration, rewards: [1, 0, 0.5], tokenCounts: [3, 4, 2], batch: batch)
    #expect(split.trajectoryRewards == whole.rewards)
    #expect(split.advantages == [0, 1, 1, 2].map { whole.advantages[$0] })
    #expect(split.tokenWeights == [0, 1, 1, 2].map { whole.tokenWeights[$0] })
    #expect(split.meanWeight == whole.meanWeight)
  }
}
