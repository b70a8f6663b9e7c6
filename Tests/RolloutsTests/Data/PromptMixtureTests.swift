import Rollouts
import Testing

@Suite("Mixtures of sources")
struct PromptMixtureTests {
  private static func set(_ name: String, _ count: Int, isShuffled: Bool = true) throws -> SourcePrompts {
    let prompts = (0..<count).map { Prompt(id: Int64($0), text: "\(name)\($0)", answer: "", origin: "\(name):\($0)") }
    return SourcePrompts(
      try PromptSet(name: name, prompts: prompts, seed: 3, heldOutShare: 0.2, isShuffled: isShuffled), name: name,
      form: PromptForm(template: .plain, maximumLength: 9))
  }

  private static func mixture(_ weights: [Double], seed: UInt64 = 3, isShuffled: Bool = true) throws -> PromptMixture {
    PromptMixture(
      name: "m",
      parts: try weights.enumerated().map { index, weight in
        let name = ["a", "b", "c"][index]
        return .init(name: name, weight: weight, source: try set(name, 40 * (index + 1), isShuffled: isShuffled))
      }, seed: seed, isShuffled: isShuffled)
  }

  @Test(
    "Every source gets its share of the draws, also of few",
    arguments: [([1, 1], 2), ([2, 1], 3), ([0.7, 0.3], 10), ([1, 1, 2], 4), ([7473, 1319], 20)])
  func shares(weights: [Double], block: Int) throws {
    let mixture = try Self.mixture(weights)
    for blocks in [1, 3, 50] {
      let counts = (0..<block * blocks).reduce(into: [0, 0, 0]) { $0[mixture.draw($1).part] += 1 }
      for (count, weight) in zip(counts, weights) {
        let share = weight / weights.reduce(0, +)
        #expect(abs(Double(count) / Double(block * blocks) - share) <= 0.005 * share)
      }
    }
  }

  @Test("A share of a thousandth is drawn once in a thousand numbers")
  func smallShare() throws {
    let mixture = try Self.mixture([1, 999])
    #expect((0..<5000).count { mixture.draw($0).part == 0 } == 5)
  }

  @Test("The draws of a source visit its prompts without a gap and without a repetition in an epoch")
  func visits() throws {
    let mixture = try Self.mixture([2, 1])
    var texts: [[String]] = [[], []]
    for index in 0..<300 {
      let prompt = try mixture.prompt(index: index, split: .train)
      #expect(prompt.id == Int64(index))
      let part = mixture.draw(index).part
      #expect(prompt.source == ["a", "b"][part] && prompt.form?.maximumLength == 9)
      texts[part].append(prompt.text)
    }
    for (part, texts) in texts.enumerated() {
      let source = mixture.parts[part].source
      let expected = try (0..<texts.count).map { try source.prompt(index: $0, split: .train).text }
      #expect(texts.sorted() == expected.sorted())
    }
  }

  @Test("The order depends on the seed, and not without shuffling, when files are read in their order")
  func order() throws {
    func parts(_ seed: UInt64, _ isShuffled: Bool) throws -> [Int] {
      let mixture = try Self.mixture([2, 1], seed: seed, isShuffled: isShuffled)
      return (0..<90).map { mixture.draw($0).part }
    }
    #expect(try parts(1, true) != parts(2, true))
    #expect(try parts(1, false) == parts(2, false))
    let mixture = try Self.mixture([2, 1], isShuffled: false)
    let texts = try (0..<12).map { try mixture.prompt(index: $0, split: .train).text }
    for name in ["a", "b"] {
      let numbers = texts.filter { $0.hasPrefix(name) }.map { Int($0.dropFirst()) ?? 0 }
      #expect(numbers == numbers.sorted() && numbers.count == (name == "a" ? 8 : 4))
    }
  }

  @Test("Held-out prompts come from each source in turn, and too many are refused")
  func heldOut() throws {
    let mixture = try Self.mixture([2, 1])
    let prompts = try mixture.heldOut(count: 6)
    #expect(prompts.map(\.source) == ["a", "a", "a", "b", "b", "b"])
    #expect(prompts.map(\.id) == Array(0..<6))
    let available = try #require(mixture.heldOutCount)
    #expect(try mixture.heldOut(count: available).count == available)
    #expect(throws: TaskError.self) { try mixture.heldOut(count: available + 1) }
  }
}
