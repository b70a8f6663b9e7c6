import Rollouts
import Testing

@Suite("Procedural tasks")
struct ProceduralTaskTests {
  private static func task(
    _ name: BuiltInTask, size: Int, seed: UInt64 = 1, share: Double = 0.2
  ) throws -> ProceduralTask {
    var options = BuiltInTask.Options()
    options.size = size
    return try ProceduralTask(family: name.family(options), seed: seed, heldOutShare: share)
  }

  @Test("Train and held-out prompts are disjoint for all seeds", arguments: BuiltInTask.allCases)
  func partsAreDisjoint(name: BuiltInTask) throws {
    let heldOut = Set(try Self.task(name, size: 3).heldOut(count: 150).map(\.text))
    #expect(heldOut.count == 150)
    for seed in [UInt64(1), 2, 1 << 40] {
      let task = try Self.task(name, size: 3, seed: seed)
      for index in 0..<300 {
        #expect(!heldOut.contains(try task.prompt(index: index, split: .train).text))
      }
    }
  }

  @Test("A prompt depends only on seed, part and index")
  func determinism() throws {
    let task = try Self.task(.addition, size: 2, seed: 7)
    let again = try Self.task(.addition, size: 2, seed: 7)
    let other = try Self.task(.addition, size: 2, seed: 8)
    for split in Split.allCases {
      let texts = try (0..<50).map { try task.prompt(index: $0, split: split).text }
      #expect(texts == (try (0..<50).reversed().map { try again.prompt(index: $0, split: split).text }).reversed())
      #expect(texts != (try (0..<50).map { try other.prompt(index: $0, split: split).text }))
    }
    #expect(try task.prompt(index: 49, split: .train).id == 49)
  }

  @Test("Two-digit addition holds out more than a thousand distinct pairs, the same for every seed")
  func heldOutPairs() throws {
    let task = try Self.task(.addition, size: 2, seed: 1)
    let prompts = try task.heldOut(count: 1000)
    #expect(Set(prompts.map(\.text)).count == 1000)
    #expect(prompts == (try Self.task(.addition, size: 2, seed: 2).heldOut(count: 1000)))
    #expect(Array(prompts[..<10]) == (try task.heldOut(count: 10)))
    let count = try #require(task.heldOutCount)
    #expect((1400...1850).contains(count), "a fifth of 8,100")
    let error = #expect(throws: TaskError.self) { try task.heldOut(count: count + 1) }
    #expect(error?.description.contains("there are \(count) distinct held-out prompts") == true)
  }

  @Test("Both orders of a sum are in the same part")
  func commutativity() throws {
    let task = try Self.task(.addition, size: 2)
    for left in UInt64(0)..<90 {
      for right in UInt64(0)..<left { #expect(task.isHeldOut([left, right]) == task.isHeldOut([right, left])) }
    }
  }

  @Test("A space too large to enumerate also gives distinct held-out problems")
  func largeSpace() throws {
    let task = try Self.task(.sorting, size: 40)
    #expect(task.heldOutCount == nil)
    #expect(Set(try task.heldOut(count: 200).map(\.text)).count == 200)
  }

  @Test("A part without problems is an error, not an endless search")
  func emptyPart() throws {
    let task = try Self.task(.addition, size: 2, share: 0)
    #expect(throws: TaskError.self) { try task.prompt(index: 0, split: .heldOut) }
    #expect(throws: TaskError.self) { try task.heldOut(count: 1) }
    #expect(try task.heldOut(count: 0).isEmpty)
    #expect(throws: TaskError.self) { try Self.task(.addition, size: 2, share: 1) }
  }
}
