import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Rewards")
struct RewardTests {
  private func score(
    _ reward: some Reward, answer: String = "", completion: String = "", tokens: Int = 0
  ) -> Double {
    reward.score(
      prompt: Prompt(id: 0, text: "q", answer: answer, origin: "test"), completion: completion,
      completionTokens: tokens,
      finished: true)
  }

  @Test("An exact match ignores white space only at the ends")
  func exactMatch() {
    #expect(score(ExactMatchReward(), answer: "85", completion: " 85\n") == 1)
    #expect(score(ExactMatchReward(), answer: "85 ", completion: "85") == 1)
    #expect(score(ExactMatchReward(), answer: "85", completion: "8 5") == 0)
    #expect(score(ExactMatchReward(), answer: "85", completion: "") == 0)
    #expect(score(ExactMatchReward(), answer: "", completion: " ") == 1)
  }

  @Test("Partial credit is the share of characters that are correct at their position")
  func partialCredit() {
    let cases: [(String, String, Double)] = [
      ("123", "123", 1), ("123", "124", 2.0 / 3), ("123", "12", 2.0 / 3), ("123", "1234", 0.75), ("123", "", 0),
      ("", "", 1), ("", "1", 0), ("123", "231", 0), ("é1", " é2", 0.5),
    ]
    for (answer, completion, expected) in cases {
      #expect(score(PartialCreditReward(), answer: answer, completion: completion) == expected, "\(completion)")
    }
  }

  @Test("Numbers match by value: last number, ####, commas, signs, decimals")
  func numericMatch() {
    let matching = [
      ("85", "47+38=85"), ("85", "so it is 85."), ("She has 3.\n#### 1,234", "1234"),
      ("1234", "#### 1,234 eggs, not 7"),
      ("1234.50", "1,234.5"), ("-5", "x = -5"), ("-5", "the result (−5)"), ("-5", "-$5.00"), ("0", "-0.0"),
      ("0.5", ".5"),
      ("3", "5-3"), ("3", "a-3"), ("7", "1,2,7"), ("007", "7"), ("12345678901234567890123", "12345678901234567890123"),
      ("#### -12", "thus #### -12"), ("2345", "1,2345"), ("5", "#### 4 #### 5"), ("3", "+3"),
    ]
    for (answer, completion) in matching {
      #expect(score(NumericMatchReward(), answer: answer, completion: completion) == 1, "\(answer) and \(completion)")
    }
    let different = [
      ("85", "85 or 86"), ("85", ""), ("85", "-85"), ("85", "#### "), ("85", "85 #### none"), ("1.5", "15"),
      ("12345678901234567890123", "12345678901234567890124"), ("85", "８５"),
    ]
    for (answer, completion) in different {
      #expect(score(NumericMatchReward(), answer: answer, completion: completion) == 0, "\(answer) and \(completion)")
    }
    #expect(score(NumericMatchReward(), answer: "none", completion: "1").isNaN)
  }

  @Test("A format is a regular expression, and an error names an invalid one")
  func format() throws {
    let reward = try FormatReward(pattern: #"^<think>[\s\S]*</think>\s*\d+$"#)
    #expect(score(reward, completion: "<think>a\nb</think> 12") == 1)
    #expect(score(reward, completion: "<think>a</think> 12 ") == 0)
    #expect(score(try FormatReward(pattern: "[0-9]"), completion: "ab3") == 1)
    let error = #expect(throws: RewardError.self) { try FormatReward(pattern: "(a") }
    #expect(error?.description.contains("'(a' is not a regular expression") == true)
  }

  @Test("Length is linear between its bounds, in either direction")
  func length() throws {
    let shorter = try LengthReward(fullAt: 10, zeroAt: 30)
    #expect([0, 10, 15, 20, 30, 99].map { score(shorter, tokens: $0) } == [1, 1, 0.75, 0.5, 0, 0])
    let longer = try LengthReward(fullAt: 30, zeroAt: 10)
    #expect([0, 10, 15, 20, 30, 99].map { score(longer, tokens: $0) } == [0, 0, 0.25, 0.5, 1, 1])
    for (full, zero) in [(5, 5), (-1, 5), (5, -1)] {
      #expect(throws: RewardError.self) { try LengthReward(fullAt: full, zeroAt: zero) }
    }
  }

  @Test("Overlong shaping has the published values")
  func overlong() throws {
    struct Golden: Decodable {
      struct Published: Decodable { let overlong: [Case] }
      struct Case: Decodable {
        let maximumLength: Int
        let cache: Int
        let lengths: [Int]
        let penalty: [Double]
        enum CodingKeys: String, CodingKey {
          case maximumLength = "max_length"
          case cache, lengths, penalty
        }
      }
      let published: Published
    }
    let golden = try JSONDecoder().decode(Golden.self, from: Fixtures.data("golden/objective.json"))
    #expect(!golden.published.overlong.isEmpty)
    for golden in golden.published.overlong {
      let reward = try OverlongReward(maximumLength: golden.maximumLength, cache: golden.cache)
      #expect(golden.lengths.map { score(reward, tokens: $0) } == golden.penalty)
    }
    let reward = try OverlongReward(maximumLength: 100, cache: 20)
    #expect([80, 81, 100, 101].map { score(reward, tokens: $0) } == [0, -0.05, -1, -1])
    for cache in [0, 101] {
      #expect(throws: RewardError.self) { try OverlongReward(maximumLength: 100, cache: cache) }
    }
  }
}
