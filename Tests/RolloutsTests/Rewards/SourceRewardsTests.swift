import Rollouts
import Testing

@Suite("Rewards of sources")
struct SourceRewardsTests {
  private struct Constant: Reward {
    let name: String
    let value: Double

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double { value }
  }

  private static func rewards() throws -> WeightedRewards {
    var rewards = try WeightedRewards([
      .init(Constant(name: "a", value: 1)), .init(Constant(name: "b", value: 0.5), weight: 4),
    ])
    rewards.add(
      try WeightedRewards([.init(Constant(name: "c", value: 3)), .init(Constant(name: "a", value: 0.25))]), of: "second"
    )
    return rewards
  }

  private static func item(_ source: String?) -> RewardItem {
    var prompt = Prompt(id: 0, text: "p", answer: "x", origin: "o")
    prompt.source = source
    return RewardItem(id: 0, prompt: prompt, completion: "y", completionTokens: 1, finished: true)
  }

  @Test("Each source is scored by its own rewards, and others by the common ones")
  func scores() throws {
    let rewards = try Self.rewards()
    #expect(rewards.names == ["a", "b", "c"])
    let scores = try rewards.outcomes([Self.item("second"), Self.item(nil), Self.item("third"), Self.item("second")])
      .map { try #require($0.score) }
    #expect(scores.map(\.total) == [3.25, 3, 3, 3.25])
    #expect(scores.map(\.parts) == [[0.25, nil, 3], [1, 0.5, nil], [1, 0.5, nil], [0.25, nil, 3]])
    #expect(rewards.named(scores[0], of: Self.item("second").prompt) == ["a": 0.25, "c": 3])
    #expect(rewards.named(scores[1], of: Self.item(nil).prompt) == ["a": 1, "b": 0.5])
  }

  @Test("The main reward is the one with the largest weight, of equal ones the first")
  func main() throws {
    let rewards = try Self.rewards()
    #expect(rewards.mainPosition(of: nil) == 1)
    #expect(rewards.mainPosition(of: "second") == 2)
  }

  @Test("A completion is right if its main reward, not its sum, reaches the threshold")
  func right() throws {
    let rewards = try Self.rewards()
    let item = Self.item(nil)
    let outcome = try rewards.outcomes([item])[0]
    #expect(rewards.isRight(outcome, of: item.prompt, threshold: 0.5))
    #expect(!rewards.isRight(outcome, of: item.prompt, threshold: 0.6))
    #expect(!rewards.isRight(.unscored(reward: "b", .timeout), of: item.prompt, threshold: -9))
  }
}
