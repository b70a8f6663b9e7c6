import Rollouts
import Testing

@Suite("Difficulty sampler")
struct DifficultySamplerTests {
  private static func base(_ count: Int) throws -> PromptSet {
    let prompts = (0..<count).map { Prompt(id: Int64($0), text: "p\($0)", answer: "\($0)", origin: "f:\($0)") }
    return try PromptSet(name: "data", prompts: prompts, seed: 5, heldOutShare: 0)
  }

  private static func sampler(_ count: Int = 50, minimum: Double = 0.1, seed: UInt64 = 5) throws -> DifficultySampler {
    DifficultySampler(try base(count), number: 0, seed: seed, minimum: minimum)
  }

  /// Draws some numbers and records a pass rate for the answer of each prompt.
  private func rollout(_ sampler: DifficultySampler, _ numbers: Range<Int>, _ rate: (Int) -> Double) throws -> [Int] {
    sampler.beginRollout()
    try sampler.draw(Array(numbers))
    return try numbers.map { number in
      let prompt = try sampler.prompt(index: number, split: .train)
      #expect(prompt.id == Int64(number))
      let answer = try #require(Int(prompt.answer))
      try sampler.record(rate(answer), of: number)
      return answer
    }
  }

  @Test("Every prompt is drawn until it is measured, in the order of the source")
  func firstEpoch() throws {
    let sampler = try Self.sampler()
    let drawn = try rollout(sampler, 0..<50) { _ in 0 }
    #expect(try drawn == (0..<50).map { try Self.base(50).prompt(index: $0, split: .train).answer }.map { Int($0) })
    #expect(sampler.state.next == 50 && sampler.state.rates.count == 50)
  }

  @Test("Prompts that are always or never solved are drawn with the minimum probability, others by p(1 − p)")
  func probabilities() throws {
    let sampler = try Self.sampler(300)
    let rate = { (answer: Int) in [0, 1, 0.5, 0.125][answer % 4] }
    _ = try rollout(sampler, 0..<300, rate)
    var counts = [0, 0, 0, 0]
    for number in 1..<40 {
      for answer in try rollout(sampler, 300 * number..<300 * number + 150, rate) { counts[answer % 4] += 1 }
    }
    let visits = Double(sampler.state.next - 300) / 4
    for (count, probability) in zip(counts, [0.1, 0.1, 1, 0.1 + 0.9 * 0.4375]) {
      #expect(abs(Double(count) / visits - probability) < 0.04, "\(counts) of \(visits)")
    }
  }

  @Test("A measured rate is the mean of the last measurement and the value before")
  func rates() throws {
    let sampler = try Self.sampler(1)
    for (number, expected) in [0.5, 0.75, 0.875].enumerated() {
      _ = try rollout(sampler, number..<number + 1) { _ in number == 0 ? 0.5 : 1 }
      #expect(Array(sampler.state.rates.values) == [expected])
    }
  }

  @Test("Draws depend only on seed and state, so a restored sampler continues exactly")
  func restored() throws {
    let rate = { (answer: Int) in Double(answer % 3) / 2 }
    let (whole, part, other) = (try Self.sampler(), try Self.sampler(), try Self.sampler(seed: 6))
    for step in 0..<6 { _ = try rollout(whole, 30 * step..<30 * step + 30, rate) }
    for step in 0..<3 { _ = try rollout(part, 30 * step..<30 * step + 30, rate) }
    let resumed = try Self.sampler()
    resumed.state = part.state
    for step in 3..<6 { _ = try rollout(resumed, 30 * step..<30 * step + 30, rate) }
    #expect(resumed.state == whole.state)
    for step in 0..<6 { _ = try rollout(other, 30 * step..<30 * step + 30, rate) }
    #expect(other.state != whole.state)
  }

  @Test("If nothing can be learned, draws still end")
  func hopeless() throws {
    let sampler = try Self.sampler(3, minimum: 1e-12)
    _ = try rollout(sampler, 0..<3) { _ in 0 }
    _ = try rollout(sampler, 3..<5) { _ in 0 }
    #expect(sampler.state.next == 3 + 2 * 1001)
  }
}
