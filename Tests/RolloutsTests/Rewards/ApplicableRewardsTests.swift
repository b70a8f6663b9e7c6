import Formats
import Foundation
import Rollouts
import Testing

/// Rewards that do not apply to every completion.
@Suite("Rewards that do not apply")
struct ApplicableRewardsTests {
  /// A reward with given outcomes.
  private struct Given: Reward {
    let name: String
    let given: [RewardOutcome]

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double { .nan }
    func outcomes(_ items: [RewardItem]) -> [RewardOutcome] { items.map { given[Int($0.id)] } }
  }

  private func items(_ count: Int) -> [RewardItem] {
    (0..<count).map {
      RewardItem(
        id: UInt64($0), prompt: Prompt(id: 1, text: "1+1=", answer: "2", origin: "p.jsonl:1"), completion: "2",
        completionTokens: 7, finished: true)
    }
  }

  private func score(_ value: Double) -> RewardOutcome { .scored(value, metrics: ["m": value]) }

  @Test("A reward that does not apply is left out of the sum; the other weights stay as they are")
  func leftOut() throws {
    let rewards = try WeightedRewards([
      .init(Given(name: "a", given: [score(1), .notApplicable, score(1), .notApplicable]), weight: 2),
      .init(Given(name: "b", given: [score(3), score(3), .notApplicable, .notApplicable]), weight: -0.5),
    ])
    let outcomes = try rewards.outcomes(items(4))
    #expect(outcomes.map { $0.score?.total } == [0.5, -1.5, 2, nil])
    #expect(outcomes.map { $0.score?.parts } == [[1, 3], [nil, 3], [1, nil], nil])
    #expect(outcomes[1].score?.parts(named: ["a", "b"]) == ["b": 3])
    #expect(outcomes[1].score?.metrics == ["b/m": 3])
    // No term applies.
    #expect(outcomes[3] == .unscored(reward: "a", .none))
  }

  @Test("A term without a score still excludes the completion, whatever applies")
  func unscored() throws {
    let rewards = try WeightedRewards([
      .init(Given(name: "a", given: [.notApplicable, score(1)])),
      .init(Given(name: "b", given: [.unscored(.timeout), .unscored(.none)])),
    ])
    #expect(
      try rewards.outcomes(items(2)) == [.unscored(reward: "b", .timeout), .unscored(reward: "b", .none)])
  }

  /// The outcome of a program's answer.
  private func outcome(_ answer: String) throws -> RewardOutcome {
    let script = "while IFS= read -r line; do printf '%s\\n' '\(answer)'; done"
    let reward = try CommandReward(name: "own", settings: CommandReward.Settings(command: ["sh", "-c", script])) { _ in
    }
    return try reward.outcomes(items(1))[0]
  }

  @Test(
    "Null and applies false mean that the reward does not apply, whatever else the answer has",
    arguments: [
      #"{"id":0,"reward":null}"#, #"{"id":0,"applies":false}"#, #"{"id":0,"applies":false,"reward":null}"#,
      #"{"id":0,"applies":false,"reward":0.5}"#, #"{"id":0,"reward":null,"metrics":{"a":1}}"#,
      #"{"quillan":{"id":0},"reward":null}"#,
    ])
  func answers(answer: String) throws { #expect(try outcome(answer) == .notApplicable) }

  @Test("Null with applies true is a completion without a score; a number with applies true counts")
  func applies() throws {
    #expect(try outcome(#"{"id":0,"applies":true,"reward":null}"#) == .unscored(.none))
    #expect(try outcome(#"{"id":0,"applies":true,"reward":0.25}"#) == .scored(0.25, metrics: [:]))
  }

  @Test("A program gets the number of tokens and the version of the lines")
  func line() throws {
    let script = #"""
      IFS= read -r line; tokens=${line##*\"tokens\":}; tokens=${tokens%%[,\}]*}
      printf '{"id":0,"reward":%s.%s}\n' "$tokens" "$QUILLAN_REWARD_PROTOCOL"; read -r line
      """#
    let reward = try CommandReward(name: "own", settings: CommandReward.Settings(command: ["sh", "-c", script])) { _ in
    }
    #expect(try reward.outcomes(items(1)) == [.scored(7.2, metrics: [:])])
  }
}
