import Rollouts
import Testing

@Suite("Prompt sets")
struct PromptSetTests {
  private static func prompts(_ count: Int) -> [Prompt] {
    (0..<count).map { Prompt(id: Int64($0), text: "p\($0 % 150)", answer: "", origin: "data.jsonl:\($0 + 1)") }
  }

  @Test("Each epoch visits every train prompt once, in a different order")
  func epochs() throws {
    let set = try PromptSet(name: "data", prompts: Self.prompts(100), seed: 3)
    let count = set.train.count
    #expect(count + set.heldOut.count == 100)
    var orders: [[String]] = []
    for epoch in 0..<2 {
      let visited = try (0..<count).map { try set.prompt(index: epoch * count + $0, split: .train) }
      #expect(visited.map(\.id) == (0..<count).map { Int64(epoch * count + $0) })
      #expect(visited.map(\.text).sorted() == set.train.map(\.text).sorted())
      orders.append(visited.map(\.text))
    }
    #expect(orders[0] != orders[1])
  }

  @Test("No prompt text is in both parts, repeated or not, and the division does not depend on the seed")
  func parts() throws {
    let set = try PromptSet(name: "data", prompts: Self.prompts(300), seed: 1, heldOutShare: 0.3)
    #expect(Set(set.train.map(\.text)).isDisjoint(with: set.heldOut.map(\.text)))
    #expect(!set.heldOut.isEmpty)
    let other = try PromptSet(name: "data", prompts: Self.prompts(300), seed: 2, heldOutShare: 0.3)
    #expect(other.heldOut == set.heldOut)
    let distinct = Set(set.heldOut.map(\.text)).count
    #expect(try set.heldOut(count: distinct).count == distinct)
    #expect(throws: TaskError.self) { try set.heldOut(count: distinct + 1) }
  }

  @Test("Parts that share a prompt are refused with both origins")
  func overlap() {
    let prompts = Self.prompts(3)
    let error = #expect(throws: TaskError.self) {
      try PromptSet(name: "data", train: prompts, heldOut: [prompts[1]], seed: 0)
    }
    #expect(error?.description.contains("data.jsonl:2 holds out a prompt that data.jsonl:2 trains on") == true)
  }

  @Test("An empty part and a share out of range are errors")
  func faults() throws {
    let set = try PromptSet(name: "data", prompts: Self.prompts(3), seed: 0, heldOutShare: 0)
    #expect(throws: TaskError.self) { try set.prompt(index: 0, split: .heldOut) }
    for share in [1, -0.1, Double.nan] {
      #expect(throws: TaskError.self) {
        try PromptSet(name: "data", prompts: Self.prompts(3), seed: 0, heldOutShare: share)
      }
    }
  }

  @Test("Without shuffling, every epoch keeps the order of the file")
  func unshuffled() throws {
    let set = try PromptSet(name: "data", prompts: Self.prompts(30), seed: 3, heldOutShare: 0.3, isShuffled: false)
    for index in 0..<3 * set.train.count {
      #expect(try set.prompt(index: index, split: .train).text == set.train[index % set.train.count].text)
    }
  }
}
