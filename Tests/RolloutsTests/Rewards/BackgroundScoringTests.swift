import Foundation
import Rollouts
import Synchronization
import Testing

@Suite("Scoring in the background")
struct BackgroundScoringTests {
  /// Scores a completion by its number; waits for `gate` first, and fails at `bad`.
  private final class Numbered: Reward {
    let name = "numbered"
    let bad: String?
    let calls = Mutex<[[String]]>([])
    let gate = DispatchSemaphore(value: 0)

    init(bad: String? = nil) { self.bad = bad }

    func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
      completion == bad ? .nan : Double(completion) ?? -1
    }

    func outcomes(_ items: [RewardItem]) throws(RewardError) -> [RewardOutcome] {
      calls.withLock { $0.append(items.map(\.completion)) }
      gate.wait()
      for item in items where item.completion == bad {
        throw RewardError(reward: name, problem: "failed at \(item.completion)", remedy: "none")
      }
      return items.map { .scored(Double($0.completion) ?? -1, metrics: [:]) }
    }
  }

  private func items(_ numbers: Range<Int>) -> [RewardItem] {
    numbers.map {
      RewardItem(
        id: UInt64($0), prompt: Prompt(id: 0, text: "q", answer: "a", fields: [:], origin: "test"),
        completion: "\($0)", completionTokens: 1, finished: true)
    }
  }

  private func waitForCall(_ reward: Numbered, _ count: Int) {
    while reward.calls.withLock({ $0.count }) < count { usleep(1000) }
  }

  @Test("Completions are scored while others are added, and outcomes keep the order of addition")
  func order() throws {
    let reward = Numbered()
    let scoring = BackgroundScoring(try WeightedRewards([WeightedRewards.Term(reward)]))
    #expect(scoring.add(items(0..<3)) == 0..<3)
    waitForCall(reward, 1)
    // What is added during the first call is scored by one further call.
    #expect(scoring.add(items(3..<4)) == 3..<4)
    #expect(scoring.add([]) == 4..<4)
    #expect(scoring.add(items(4..<6)) == 4..<6)
    reward.gate.signal()
    reward.gate.signal()
    let result = try scoring.finish()
    #expect(result.outcomes.compactMap { $0.score?.total } == [0, 1, 2, 3, 4, 5])
    #expect(reward.calls.withLock { $0 } == [["0", "1", "2"], ["3", "4", "5"]])
    #expect(result.seconds > 0 && result.waitSeconds >= 0)
  }

  @Test("An error ends scoring and is thrown at the end")
  func failure() throws {
    let reward = Numbered(bad: "1")
    let scoring = BackgroundScoring(try WeightedRewards([WeightedRewards.Term(reward)]))
    _ = scoring.add(items(0..<2))
    waitForCall(reward, 1)
    #expect(!scoring.hasFailed)
    reward.gate.signal()
    #expect(throws: RewardError.self) { try scoring.finish() }
    #expect(scoring.hasFailed)
    _ = scoring.add(items(2..<3))
    #expect(throws: RewardError.self) { try scoring.finish() }
    #expect(reward.calls.withLock { $0.count } == 1)
  }

  @Test("Nothing to score needs no wait")
  func nothing() throws {
    let scoring = BackgroundScoring(try WeightedRewards([WeightedRewards.Term(ExactMatchReward())]))
    let result = try scoring.finish()
    #expect(result.outcomes.isEmpty && result.seconds == 0)
  }
}
