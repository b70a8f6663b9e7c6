import Foundation
import Objectives
import Testing

@Suite("The clipped surrogate, its aggregation and the KL estimators")
struct TokenObjectiveTests {
  @Test("The published token losses come out to their printed digits")
  func published() throws {
    let rows = try ObjectiveGolden.load().published.token_losses
    #expect(rows.count == 2)
    for row in rows {
      let losses = row.advantages.indices.map { index in
        -TokenObjective(
          logProbability: row.new_logp[index], oldLogProbability: row.old_logp[index],
          advantage: row.advantages[index], clipEpsilonLow: row.epsilon_low, clipEpsilonHigh: row.epsilon_high
        ).objective
      }
      for (loss, wanted) in zip(losses, row.per_token_loss ?? losses) { #expect(abs(loss - wanted) < 5e-5) }
      let weight = AggregationMode.tokenMean.weights(
        tokenCounts: [3], batch: BatchCounts(groups: 1, generatedTokens: 3), maxTrajectoryLen: 128)[0]
      #expect(abs(weight * losses.reduce(0, +) - row.token_mean) < 5e-5)
    }
  }

  @Test("The published aggregations come out exactly")
  func aggregation() throws {
    let rows = try ObjectiveGolden.load().published.aggregation
    #expect(rows.count == 5)
    for row in rows {
      let mode = try #require(AggregationMode(rawValue: row.mode))
      let counts = row.mask.map { $0.reduce(0, +) }
      let size = row.group_size ?? counts.count
      let batch = BatchCounts(groups: counts.count / size, generatedTokens: counts.reduce(0, +))
      var mean = 0.0
      for start in stride(from: 0, to: counts.count, by: size) {
        let weights = mode.weights(
          tokenCounts: Array(counts[start..<start + size]), batch: batch,
          maxTrajectoryLen: row.max_trajectory_len ?? 128)
        for index in 0..<size {
          for (value, mask) in zip(row.values[start + index], row.mask[start + index]) where mask == 1 {
            mean += weights[index] * value
          }
        }
      }
      #expect(abs(mean - row.expected) < 1e-12, "\(row.mode)")
    }
  }

  @Test("An empty trajectory has weight 0 and still counts in G", arguments: AggregationMode.allCases)
  func emptyTrajectories(mode: AggregationMode) {
    let batch = BatchCounts(groups: 2, generatedTokens: 10)
    let weights = mode.weights(tokenCounts: [0, 4], batch: batch, maxTrajectoryLen: 8)
    let expected: [AggregationMode: Double] = [
      .groupTokenMean: 1.0 / 8, .tokenMean: 1.0 / 10, .sequenceMean: 1.0 / 16, .drGRPO: 1.0 / 32,
    ]
    #expect(weights == [0, expected[mode]!])
    let none = BatchCounts(groups: 1, generatedTokens: 0)
    #expect(mode.weights(tokenCounts: [0, 0], batch: none, maxTrajectoryLen: 8) == [0, 0])
  }

  @Test("The published KL estimates come out to their printed digits")
  func divergence() throws {
    for row in try ObjectiveGolden.load().published.kl {
      for index in row.ref.indices {
        let x = row.logp - row.ref[index]
        #expect(abs(KLEstimator.k1.value(x).estimate - row.k1[index]) < 5e-5)
        #expect(abs(KLEstimator.k2.value(x).estimate - row.k2[index]) < 5e-5)
        #expect(abs(KLEstimator.k3.value(x).estimate - row.k3[index]) < 5e-5)
      }
    }
  }

  @Test("KL derivatives equal central differences, and k2 and k3 are never negative", arguments: KLEstimator.allCases)
  func divergenceDerivatives(estimator: KLEstimator) {
    for x in [-2.0, -0.3, 0, 0.01, 0.7, 3] {
      let step = 1e-5
      let difference = (estimator.value(x + step).estimate - estimator.value(x - step).estimate) / (2 * step)
      #expect(abs(estimator.value(x).derivative - difference) < 1e-8)
      #expect(estimator == .k1 || estimator.value(x).estimate >= 0)
    }
    #expect(estimator.value(0).estimate == 0)
  }

  @Test("The objective is the minimum of both products, and its derivative equals central differences")
  func derivative() {
    for advantage in [-2.0, -0.5, 0, 0.5, 2] {
      for logRatio in stride(from: -1.0, through: 1.0, by: 0.0625) {
        func token(_ shift: Double) -> TokenObjective {
          TokenObjective(
            logProbability: -1.5 + logRatio + shift, oldLogProbability: -1.5, advantage: advantage,
            clipEpsilonLow: 0.2, clipEpsilonHigh: 0.28)
        }
        let center = token(0)
        let clipped = min(max(center.ratio, 0.8), 1.28)
        #expect(abs(center.objective - min(center.ratio * advantage, clipped * advantage)) < 1e-15)
        let step = 1e-6
        let difference = (token(step).objective - token(-step).objective) / (2 * step)
        #expect(abs(center.derivative - difference) < 1e-8)
      }
    }
  }

  @Test("Each bound stops only the direction that would leave it further")
  func clipping() {
    func token(_ ratio: Double, _ advantage: Double) -> TokenObjective {
      TokenObjective(
        logProbability: log(ratio), oldLogProbability: 0, advantage: advantage, clipEpsilonLow: 0.2,
        clipEpsilonHigh: 0.28)
    }
    #expect(token(0.5, -1).clipping == .low)
    #expect(token(0.5, -1).objective == -0.8)
    #expect(token(0.5, -1).derivative == 0)
    #expect(token(0.5, 1).clipping == .none)
    #expect(token(1.5, 1).clipping == .high)
    #expect(token(1.5, 1).objective == 1.28)
    #expect(token(1.5, -1).clipping == .none)
    #expect(token(1.25, 1).clipping == .none)
    #expect(token(0.5, 0).clipping == .none)
  }

  @Test("At equal log-probabilities the ratio is exactly 1, and NaN is never hidden by a bound")
  func exactness() {
    for advantage in [-1.0, 0, 1] {
      let same = TokenObjective(
        logProbability: -3.7, oldLogProbability: -3.7, advantage: advantage, clipEpsilonLow: 0.2, clipEpsilonHigh: 0.2)
      #expect(same.ratio == 1 && same.objective == advantage && same.derivative == advantage)
      let broken = TokenObjective(
        logProbability: .nan, oldLogProbability: -1, advantage: advantage, clipEpsilonLow: 0.2, clipEpsilonHigh: 0.2)
      #expect(broken.objective.isNaN && broken.derivative.isNaN)
    }
  }
}
