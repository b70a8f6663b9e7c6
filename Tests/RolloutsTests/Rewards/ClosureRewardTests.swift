import Rollouts
import Testing

@Suite("Rewards that are closures") struct ClosureRewardTests {
  private let prompt = Prompt(id: 3, text: "2+3=", answer: "5", origin: "test")

  private func outcome(_ completion: String, _ rewards: WeightedRewards) throws -> WeightedRewards.Outcome {
    try rewards.outcomes([
      RewardItem(id: 0, prompt: prompt, completion: completion, completionTokens: 2, finished: true)
    ])[0]
  }

  @Test("The closure gets prompt and completion, and its score counts under its name and weight")
  func scores() throws {
    let rewards = try WeightedRewards([
      .init(ClosureReward("correct") { $0.answer == $1 ? 1 : 0 }, weight: 2),
      .init(ClosureReward("short") { 1 / Double(1 + $0.text.count + $1.count) }),
    ])
    #expect(rewards.names == ["correct", "short"])
    let right = try #require(try outcome("5", rewards).score)
    #expect(right.parts == [1, 1.0 / 6] && right.total == 2 + 1.0 / 6)
    #expect(try outcome("55", rewards).score?.parts == [0, 1.0 / 7])
  }

  @Test("A score that is not finite is an error with the reward's name")
  func notFinite() throws {
    let rewards = try WeightedRewards([.init(ClosureReward("broken") { _, _ in .nan })])
    #expect { try outcome("5", rewards) } throws: { ($0 as? RewardError)?.reward == "broken" }
  }
}
