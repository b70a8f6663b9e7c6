import Foundation
import Rollouts
import Testing

@Suite("Repeated texts")
struct EqualTextTests {
  /// Names with an accent, each as one scalar (NFC) and as two (NFD).
  private static let forms = (0..<200).map { ("caf\u{E9} \($0)", "cafe\u{301} \($0)") }

  private static func prompts(_ texts: [String]) -> [Prompt] {
    texts.enumerated().map {
      Prompt(id: Int64($0.offset), text: $0.element, answer: "", origin: "data.jsonl:\($0.offset + 1)")
    }
  }

  @Test("Repeated held-out prompts count once in every count", arguments: SplitVersion.allCases)
  func repetitions(version: SplitVersion) throws {
    let texts = (0..<300).map { "\($0)+1=" }
    let once = try PromptSet(
      name: "data", prompts: Self.prompts(texts), seed: 0, heldOutShare: 0.3, version: version)
    let set = try PromptSet(
      name: "data", prompts: Self.prompts(texts + texts + texts.reversed()), seed: 0, heldOutShare: 0.3,
      version: version)
    let count = try #require(set.heldOutCount)
    #expect(count == once.heldOutCount && count > 60)
    #expect(set.heldOut.count == 3 * count)
    let drawn = try set.heldOut(count: count)
    #expect(drawn.map(\.text) == (try once.heldOut(count: count).map(\.text)))
    #expect(drawn.map(\.id) == (0..<count).map { Int64($0) })
  }

  @Test("NFC and NFD forms of a text are in one part and count once", arguments: SplitVersion.allCases)
  func canonicalForms(version: SplitVersion) throws {
    let both = Self.forms.flatMap { [$0.0, $0.1] }
    let set = try PromptSet(name: "data", prompts: Self.prompts(both), seed: 0, heldOutShare: 0.3, version: version)
    let count = try #require(set.heldOutCount)
    #expect(set.heldOut.count == 2 * count && count > 30)
    #expect(Set(set.train.map(\.text)).isDisjoint(with: set.heldOut.map(\.text)))
    #expect(try set.heldOut(count: count).count == count)
  }

  @Test("The normalisation form of a text does not affect its part")
  func partOfForms() throws {
    let composed = try PromptSet(
      name: "data", prompts: Self.prompts(Self.forms.map(\.0)), seed: 0, heldOutShare: 0.3)
    let decomposed = try PromptSet(
      name: "data", prompts: Self.prompts(Self.forms.map(\.1)), seed: 0, heldOutShare: 0.3)
    #expect(composed.heldOut.map(\.id) == decomposed.heldOut.map(\.id))
    #expect(composed.heldOut.first.map { Array($0.text.utf8) } != decomposed.heldOut.first.map { Array($0.text.utf8) })
  }

  @Test("Demonstrations and reinforcement visit the prompts in different orders, except in version 1")
  func orders() throws {
    func texts(_ use: PromptUse, _ version: SplitVersion) throws -> [String] {
      let set = try PromptSet(
        name: "data", prompts: Self.prompts((0..<500).map { "p\($0)" }), seed: 3, version: version, use: use)
      return try set.train.indices.map { try set.prompt(index: $0, split: .train).text }
    }
    let demonstrations = try texts(.demonstrations, .byText)
    let reinforcement = try texts(.reinforcement, .byText)
    #expect(demonstrations != reinforcement)
    #expect(zip(demonstrations, reinforcement).count { $0 == $1 } < 10)
    #expect(demonstrations.sorted() == reinforcement.sorted())
    #expect(try texts(.demonstrations, .byNumber) == texts(.reinforcement, .byNumber))
    #expect(try texts(.demonstrations, .byNumber) == demonstrations)
  }
}
