import MPI
import Rollouts
import Testing
import Training
import TrainingSupport

/// The metrics and pending rollouts of a reward that applies to some completions only.
@Suite struct ApplicableRewardFiguresTests {
  /// 1 for trajectories with even numbers; does not apply to the others.
  private struct EvenOnly: Reward {
    let name = "even"

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double { 1 }
    func outcomes(_ items: [RewardItem]) -> [RewardOutcome] {
      items.map { $0.id.isMultiple(of: 2) ? .scored(1, metrics: ["half": 0.5]) : .notApplicable }
    }
  }

  private func trainer(_ terms: [WeightedRewards.Term]) throws -> Trainer {
    var run = try TinyRun()
    run.rewards = try WeightedRewards(terms)
    return try run.trainer(Ranks.alone())
  }

  @Test("The metrics count the completions to which a reward applies, and its mean is over those")
  func metrics() throws {
    let figures = try trainer([.init(ArbitraryReward()), .init(EvenOnly(), weight: 2)]).step().metrics
    #expect(figures["rewards/even"] == 1 && figures["rewards/even/applies"] == 0.5)
    #expect(figures["rewards/even/half"] == 0.5 && figures["rewards/arbitrary/applies"] == nil)
    let arbitrary = try #require(figures["rewards/arbitrary"])
    #expect(abs((figures["reward"] ?? 0) - (arbitrary + 1)) < 1e-12)
    #expect(figures.keys.allSatisfy { !$0.hasPrefix("unscored") })
  }

  @Test("Completions to which no reward applies are unscored")
  func unscored() throws {
    let trainer = try trainer([.init(EvenOnly())])
    let report = try trainer.step()
    #expect(report.metrics["unscored/none"] == Double(2 * (try Ranks.groups())))
    #expect(report.metrics["rewards/even"] == 1 && report.metrics["rewards/even/applies"] == nil)
  }

  @Test("Pending rollouts keep the counts, and those of earlier checkpoints count every scored completion")
  func pending() throws {
    let trainer = try trainer([.init(ArbitraryReward()), .init(EvenOnly())])
    #expect(try trainer.step(leaving: { true }) == nil)
    let summary = try #require(trainer.collected)
    let names = ["arbitrary", "even"]
    let read = try #require(RolloutSummary(numbers: summary.numbers, names: names, texts: [summary.text]))
    #expect(read.records == summary.records && read.numbers == summary.numbers)

    let width = RolloutRecord.width(parts: 2)
    func rows(_ numbers: [Double]) -> [[Double]] {
      stride(from: 2, to: numbers.count, by: width).map { Array(numbers[$0..<$0 + width]) }
    }
    #expect(rows(summary.numbers).allSatisfy { $0.suffix(2) == [4, 2] })
    let earlier = summary.numbers.prefix(2) + rows(summary.numbers).flatMap { $0.dropLast(2) }
    #expect(RolloutSummary(numbers: Array(earlier), names: names, texts: []) == nil)
    let old = try #require(RolloutSummary(numbers: Array(earlier), names: names, texts: [], isEarlier: true))
    #expect(rows(old.numbers).allSatisfy { $0.suffix(2) == [4, 4] })
    // More applications than scores.
    var damaged = summary.numbers
    damaged[2 + width - 1] = 5
    #expect(RolloutSummary(numbers: damaged, names: names, texts: []) == nil)
  }
}
