import Foundation
import Objectives
import Testing

@Suite("Bounds of log ratios") struct LogRatioBoundTests {
  private func token(_ logRatio: Double, _ advantage: Double) -> TokenObjective {
    TokenObjective(logRatio: logRatio, advantage: advantage, clipEpsilonLow: 0.2, clipEpsilonHigh: 0.28)
  }

  @Test("A log ratio beyond 20 counts as 20 and has no gradient, as in verl", arguments: [20.001, 88, 710, 9998])
  func bounded(size: Double) {
    let punished = token(size, -1)
    #expect(punished.ratio == exp(20) && punished.objective == -exp(20))
    #expect(punished.derivative == 0 && punished.clipping == .high)
    let praised = token(-size, 1)
    #expect(praised.ratio == exp(-20) && praised.derivative == 0 && praised.clipping == .low)
    #expect(token(size, 1).objective == 1.28 && token(-size, -1).objective == -0.8)
    #expect(token(size, 0).clipping == .none && token(size, 0).derivative == 0)
    let cispo = TokenObjective.cispo(
      logProbability: -1, logRatio: size, advantage: -1, clipEpsilonLow: 1, clipEpsilonHigh: 1e30)
    #expect(cispo.derivative == -exp(20))
  }

  @Test("Within the bounds nothing changes, and NaN stays NaN")
  func inside() {
    for logRatio in [-20.0, -3, 0, 0.1, 20] {
      #expect(token(logRatio, -1).ratio == exp(logRatio))
    }
    #expect(token(20, -1).derivative == -exp(20) && token(-20, 1).derivative == exp(-20))
    #expect(token(.nan, 1).objective.isNaN && token(.nan, 1).derivative.isNaN)
  }

  @Test("Statistics and the k3 estimators stay finite")
  func statistics() {
    var statistics = RatioStatistics()
    statistics.add(token(9998, -1), logRatio: 9998)
    statistics.add(token(0.5, -1), logRatio: 9998)
    #expect(statistics.k3Mean.isFinite && statistics.ratioMaximum == exp(20))
    #expect(statistics.logRatioMaximum == 9998)
    let far = KLEstimator.k3.value(-9998)
    #expect(far.estimate == exp(20) - 9999 && far.derivative == 1 - exp(20))
    #expect(KLEstimator.k3.value(-1).estimate == exp(1) - 2)
  }
}
