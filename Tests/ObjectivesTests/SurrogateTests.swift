import Foundation
import Objectives
import Testing

/// Published rows are those of NeMo-RL's tests/unit/algorithms/test_loss_functions.py and of SkyRL's
/// tests/train/algorithms/test_losses.py, which took them over.
@Suite("Dual clip, CISPO and the sequence ratio")
struct SurrogateTests {
  private static let advantages = [1.0, -1, -4]
  private static let old = [-1.0, -1, -3]
  private static let new = [-1.69315, -1, -0.69741]

  @Test("The published dual-clip losses come out: −0.5, 1 and 12, in sum 12.5")
  func dualClip() {
    let losses = (0..<3).map {
      -TokenObjective(
        logRatio: Self.new[$0] - Self.old[$0], advantage: Self.advantages[$0], clipEpsilonLow: 0.2,
        clipEpsilonHigh: 0.2, dualClip: 3
      ).objective
    }
    for (loss, wanted) in zip(losses, [-0.5, 1, 12]) { #expect(abs(loss - wanted) < 1e-4) }
    #expect(abs(losses.reduce(0, +) - 12.5) < 1e-4)
  }

  @Test("The dual clip stops a gradient only where the advantage is negative and the ratio beyond it")
  func dualClipGradients() {
    func token(_ ratio: Double, _ advantage: Double) -> TokenObjective {
      TokenObjective(
        logRatio: log(ratio), advantage: advantage, clipEpsilonLow: 0.2, clipEpsilonHigh: 0.28, dualClip: 3)
    }
    #expect(token(3.5, -2).derivative == 0 && token(3.5, -2).clipping == .high)
    #expect(token(2.9, -2).derivative == token(2.9, -2).objective && token(2.9, -2).clipping == .none)
    #expect(token(1.2, 2).clipping == .none)
    let nan = TokenObjective(
      logRatio: .nan, advantage: -1, clipEpsilonLow: 0.2, clipEpsilonHigh: 0.28, dualClip: 3)
    #expect(nan.objective.isNaN && nan.derivative.isNaN)
  }

  @Test("The published CISPO losses come out, in sum −2.9930; the gradient is the bounded ratio times the advantage")
  func cispo() {
    let tokens = (0..<3).map {
      TokenObjective.cispo(
        logProbability: Self.new[$0], logRatio: Self.new[$0] - Self.old[$0], advantage: Self.advantages[$0],
        clipEpsilonLow: 0.2, clipEpsilonHigh: 0.2)
    }
    for (token, wanted) in zip(tokens, [1.35452, -1, -3.347568]) { #expect(abs(-token.objective - wanted) < 1e-5) }
    #expect(abs(tokens.reduce(0) { $0 - $1.objective } + 2.9930) < 1e-4)
    #expect(zip(tokens.map(\.derivative), [0.8, -1, -4.8]).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(tokens.map(\.clipping) == [.low, .none, .high])
    let nan = TokenObjective.cispo(
      logProbability: .nan, logRatio: .nan, advantage: 1, clipEpsilonLow: 0.2, clipEpsilonHigh: 0.2)
    #expect(nan.objective.isNaN && nan.derivative.isNaN)
  }

  /// SkyRL's three sequences, whose mean log ratios are 0.14, 1.3 and 0.625.
  private static let sequences: [(new: [Float], log: Double)] = [
    ([0.2, -2.5, -0.3, 0.1, -1.8], 0.14), ([0.8, -0.2], 1.3), ([-0.5, 0.3, -1.7, 0.4], 0.625),
  ]

  private func objective(_ change: (inout ObjectiveConfiguration) -> Void) throws -> GroupObjective {
    var configuration = ObjectiveConfiguration()
    configuration.advantage = .groupMean
    configuration.aggregation = .sequenceMean
    configuration.ratio = .sequence
    configuration.entropyCoef = 0
    configuration.valueCoef = 0
    change(&configuration)
    return try GroupObjective(
      configuration: configuration, rewards: [0.5, 2, -1], tokenCounts: Self.sequences.map(\.new.count),
      batch: BatchCounts(groups: 1, generatedTokens: 11))
  }

  private func signals(_ new: [Float]) -> TrajectorySignals {
    TrajectorySignals(
      oldLogProbabilities: new.map { _ in -1 }, logProbabilities: new, entropies: new.map { _ in 0 },
      values: new.map { _ in 0 })
  }

  @Test("GSPO's loss of SkyRL's sequences is −mean of min(s Â, clip(s) Â), s from the mean log ratio")
  func sequenceRatio() throws {
    let group = try objective {
      $0.clipEpsilonLow = 0.2
      $0.clipEpsilonHigh = 0.2
    }
    let result = group.evaluate(Self.sequences.map { signals($0.new) })
    var loss = 0.0
    for (sequence, advantage) in zip(Self.sequences, group.advantages) {
      let ratio = exp(sequence.log)
      loss -= min(ratio * advantage, min(max(ratio, 0.8), 1.2) * advantage) / 3
    }
    #expect(abs(result.terms.policy - loss) < 1e-6)
    // Sequences are clipped whole: the second is; the first and the third are not (|log s| small, and Â < 0).
    #expect(result.statistics.clippedHigh == 2 && result.statistics.clippedLow == 0)
    // The figure that proves exactness looks at tokens, not at the mean.
    #expect(abs(result.statistics.logRatioMaximum - 1.8) < 1e-6)
  }

  @Test(
    "GSPO's gradients equal central differences of the whole sequence's loss, in every aggregation",
    arguments: AggregationMode.allCases)
  func sequenceGradients(mode: AggregationMode) throws {
    let group = try objective {
      $0.aggregation = mode
      $0.clipEpsilonLow = 0.9
      $0.clipEpsilonHigh = 9
      $0.dualClip = 0
    }
    let step: Float = 0x1p-9
    for (index, sequence) in Self.sequences.enumerated() {
      let gradients = group.evaluate(trajectory: index, signals(sequence.new)).logProbabilityGradients
      for position in sequence.new.indices {
        let losses = [step, -step].map { by in
          var moved = sequence.new
          moved[position] += by
          return group.evaluate(trajectory: index, signals(moved)).terms.policy
        }
        #expect(abs(Double(gradients[position]) - (losses[0] - losses[1]) / (2 * Double(step))) < 1e-5)
      }
    }
  }

  @Test("For sequences of one token the two ratios are the same bits")
  func oneToken() throws {
    func terms(_ ratio: RatioMode) throws -> (ObjectiveTerms, [Float]) {
      var configuration = ObjectiveConfiguration()
      configuration.advantage = .standardized
      configuration.ratio = ratio
      let group = try GroupObjective(
        configuration: configuration, rewards: [0, 1], tokenCounts: [1, 1],
        batch: BatchCounts(groups: 1, generatedTokens: 2))
      let result = group.evaluate([signals([-1.25]), signals([-0.5])])
      return (result.terms, result.trajectories.flatMap(\.logProbabilityGradients))
    }
    let (token, sequence) = (try terms(.token), try terms(.sequence))
    #expect(token.0 == sequence.0 && token.1 == sequence.1)
  }
}
