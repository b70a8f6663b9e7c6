import Rollouts
import Testing

@Suite("Weighted rewards")
struct WeightedRewardsTests {
  private struct Constant: Reward {
    let name: String
    let value: Double

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double { value }
  }

  private let prompt = Prompt(id: 12, text: "1+1=", answer: "2", origin: "data.jsonl:3")

  @Test("The total is the weighted sum, and each reward keeps its own score")
  func sum() throws {
    let rewards = try WeightedRewards([
      .init(ExactMatchReward(), weight: 2), .init(Constant(name: "a", value: 0.5), weight: -1),
      .init(Constant(name: "b", value: 3), weight: 0),
    ])
    let score = try rewards.score(prompt: prompt, completion: "2", completionTokens: 2, finished: true)
    #expect(score.total == 1.5)
    #expect(score.parts == [1, 0.5, 3])
    #expect(rewards.names == ["exact_match", "a", "b"])
  }

  @Test(
    "A score that is not finite is an error that names reward, prompt and completion",
    arguments: [Double.nan, .infinity])
  func notFinite(value: Double) throws {
    let rewards = try WeightedRewards([.init(Constant(name: "broken", value: value))])
    let error = #expect(throws: RewardError.self) {
      try rewards.score(prompt: prompt, completion: "a\nb", completionTokens: 3, finished: false)
    }
    let line = error?.description ?? ""
    for part in ["reward broken", "prompt 12", "data.jsonl:3", "\"1+1=\"", #""a\nb""#] {
      #expect(line.contains(part), "\(line)")
    }
    #expect(!line.contains("\n"))
  }

  @Test("No rewards, a repeated name and a weight that is not finite are errors")
  func faults() {
    #expect(throws: RewardError.self) { try WeightedRewards([]) }
    #expect(throws: RewardError.self) { try WeightedRewards([.init(ExactMatchReward()), .init(ExactMatchReward())]) }
    #expect(throws: RewardError.self) { try WeightedRewards([.init(ExactMatchReward(), weight: .nan)]) }
  }

  @Test(
    "A score out of range, also after weighting, leaves the completion unscored", arguments: [1e308, -1e13, 1e6])
  func outOfRange(value: Double) throws {
    let rewards = try WeightedRewards([
      .init(ExactMatchReward()), .init(Constant(name: "large", value: value), weight: 1e9),
    ])
    let item = RewardItem(id: 0, prompt: prompt, completion: "2", completionTokens: 1, finished: true)
    #expect(try rewards.outcomes([item]) == [.unscored(reward: "large", .outOfRange)])
  }

  @Test("One term that applies but has no score leaves the completion unscored")
  func oneTermMissing() throws {
    struct Odd: Reward {
      let name = "odd"
      func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double { 1 }
      func outcomes(_ items: [RewardItem]) -> [RewardOutcome] {
        items.map { $0.id % 2 == 1 ? .scored(1, metrics: [:]) : .unscored(.none) }
      }
    }
    let rewards = try WeightedRewards([.init(ExactMatchReward()), .init(Odd())])
    let items = (0..<2).map {
      RewardItem(id: UInt64($0), prompt: prompt, completion: "2", completionTokens: 1, finished: true)
    }
    let outcomes = try rewards.outcomes(items)
    #expect(outcomes[0] == .unscored(reward: "odd", .none))
    #expect(outcomes[1].score?.total == 2)
  }
}
