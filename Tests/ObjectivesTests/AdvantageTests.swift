import Foundation
import Objectives
import Testing

@Suite("Advantages")
struct AdvantageTests {
  @Test("All modes equal the golden advantages")
  func golden() throws {
    let cases = try ObjectiveGolden.load().advantages
    #expect(cases.count == 7)
    for golden in cases {
      let expected: [AdvantageMode: [Double]] = [
        .clip01: golden.clip01, .standardized: golden.standardized, .groupMean: golden.group_mean,
      ]
      for (mode, wanted) in expected {
        let advantages = try mode.advantages(of: golden.rewards)
        #expect(advantages.count == golden.rewards.count)
        for (advantage, wanted) in zip(advantages, wanted) {
          #expect(abs(advantage - wanted) <= 1e-6 * max(1, abs(wanted)), "\(mode) of \(golden.rewards)")
        }
      }
    }
  }

  @Test("Equal rewards give exactly zero in every mode", arguments: AdvantageMode.allCases)
  func uniform(mode: AdvantageMode) throws {
    // 0.1 + 0.1 + 0.1 is not 0.3, so a mean of equal rewards need not equal them.
    for reward in [0.1, 0.7, 1e300, -1e-300, 0] {
      for count in [1, 2, 3, 7, 10] {
        let advantages = try mode.advantages(of: [Double](repeating: reward, count: count))
        #expect(advantages == [Double](repeating: 0, count: count))
      }
    }
    #expect(try mode.advantages(of: [0.0, -0.0]) == [0, 0])
    #expect(try mode.advantages(of: []) == [])
  }

  @Test("A shift of all rewards changes nothing, nor does their order")
  func invariances() throws {
    let rewards = [0.25, 1, -3, 0.5, 0.5]
    let advantages = try AdvantageMode.standardized.advantages(of: rewards)
    let shifted = try AdvantageMode.standardized.advantages(of: rewards.map { $0 + 1024 })
    #expect(zip(shifted, advantages).allSatisfy { abs($0 - $1) < 1e-12 })
    let reversed = try AdvantageMode.standardized.advantages(of: rewards.reversed())
    #expect(zip(reversed.reversed(), advantages).allSatisfy { abs($0 - $1) < 1e-14 })
    #expect(abs(advantages.reduce(0, +)) < 1e-12)
  }

  @Test("A large common offset does not drown a small spread")
  func twoPasses() throws {
    let offset = 1e8
    let advantages = try AdvantageMode.standardized.advantages(of: [offset, offset + 1, offset, offset + 1])
    for (advantage, wanted) in zip(advantages, [-1.0, 1, -1, 1]) { #expect(abs(advantage - wanted) < 1e-7) }
  }

  @Test("clip01 lies in [0, 1]")
  func bounds() throws {
    let advantages = try AdvantageMode.clip01.advantages(of: [-100, 0, 0, 0, 0, 0, 3, 200])
    #expect(advantages.allSatisfy { (0...1).contains($0) })
    #expect(advantages.contains(0) && advantages.contains(1))
  }

  @Test("A reward that is not finite is an error that names its trajectory", arguments: AdvantageMode.allCases)
  func nonFinite(mode: AdvantageMode) {
    #expect(throws: ObjectiveError.nonFiniteReward(trajectory: 2, reward: .infinity)) {
      try mode.advantages(of: [0, 1, .infinity, 0])
    }
    let error = #expect(throws: ObjectiveError.self) { try mode.advantages(of: [.nan, .nan]) }
    #expect(error.map { "\($0)".contains("trajectory 0") && "\($0)".contains("nan") } == true)
    #expect(throws: ObjectiveError.rewardsOverflow(largest: 1e300)) { try mode.advantages(of: [1e300, -1e300]) }
  }

  @Test("Leave-one-out compares each reward with the mean of the others")
  func leaveOneOut() throws {
    #expect(try AdvantageMode.leaveOneOut.advantages(of: [1, 0, 0, 0]) == [1, -1.0 / 3, -1.0 / 3, -1.0 / 3])
    let rewards = [0.3, -2, 5, 0.25, 0.25]
    for (index, advantage) in try AdvantageMode.leaveOneOut.advantages(of: rewards).enumerated() {
      var others = rewards
      let own = others.remove(at: index)
      #expect(abs(advantage - (own - others.reduce(0, +) / 4)) < 1e-12)
    }
  }

  @Test("The sample deviation divides by G − 1, with TRL's and verl's epsilon as by hand")
  func sampleDeviation() throws {
    // torch.std of [1, 0, 0, 0] is 0.5.
    let trl = try AdvantageMode.standardized.advantages(of: [1, 0, 0, 0], deviation: .sample, epsilon: 1e-4)
    for (advantage, wanted) in zip(trl, [0.75, -0.25, -0.25, -0.25]) {
      #expect(abs(advantage - wanted / (0.5 + 1e-4)) < 1e-12)
    }
    #expect(try AdvantageMode.clip01.advantages(of: [1, 1], deviation: .sample) == [0, 0])
    #expect(try AdvantageMode.clip01.advantages(of: [1], deviation: .sample) == [0])
  }
}
