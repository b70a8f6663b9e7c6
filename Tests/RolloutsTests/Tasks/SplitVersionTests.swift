import Rollouts
import Testing

@Suite("Which part a problem belongs to")
struct SplitVersionTests {
  private static func task(
    _ name: BuiltInTask, size: Int, minimum: Int? = nil, padded: Bool = false, seed: UInt64 = 0,
    version: SplitVersion = .current, use: PromptUse = .reinforcement
  ) throws -> ProceduralTask {
    var options = BuiltInTask.Options()
    options.size = size
    options.minimumSize = minimum
    options.isZeroPadded = padded
    return try ProceduralTask(
      family: name.family(options), seed: seed, heldOutShare: 0.3, version: version, use: use)
  }

  /// The problems of both parts, without leading zeros.
  private static func parts(_ task: ProceduralTask) throws -> (train: Set<String>, heldOut: Set<String>) {
    func plain(_ text: String) -> String {
      let words = text.split(omittingEmptySubsequences: false) { !$0.isNumber }.map { Int($0).map(String.init) ?? "" }
      let signs = text.filter { !$0.isNumber }
      return zip(words, signs + " ").map { $0 + String($1) }.joined()
    }
    let count = try #require(task.heldOutCount)
    let train = try (0..<4000).map { plain(try task.prompt(index: $0, split: .train).text) }
    return (Set(train), Set(try task.heldOut(count: count).map { plain($0.text) }))
  }

  @Test(
    "A problem is in the same part in every task",
    arguments: [BuiltInTask.addition, .subtraction, .multiplication])
  func arithmetic(name: BuiltInTask) throws {
    let variants = try [
      Self.task(name, size: 2), Self.task(name, size: 2, minimum: 1), Self.task(name, size: 1),
      Self.task(name, size: 2, minimum: 1, padded: true), Self.task(name, size: 2, seed: 9),
    ]
    let parts = try variants.map(Self.parts)
    for first in parts {
      for second in parts { #expect(first.train.isDisjoint(with: second.heldOut)) }
    }
    // Two-digit problems are in the same part in all tasks that have them.
    #expect(parts[0].heldOut.isSubset(of: parts[1].heldOut) && parts[0].heldOut.count > 1000)
    #expect(parts[1].heldOut == parts[3].heldOut && parts[0].heldOut == parts[4].heldOut)
  }

  @Test(
    "Strings of one length keep their part when other lengths are added", arguments: [BuiltInTask.sorting, .copy])
  func strings(name: BuiltInTask) throws {
    let short = try Self.task(name, size: 3)
    let mixed = try Self.task(name, size: 5, minimum: 2)
    let heldOut = Set(try mixed.heldOut(count: #require(mixed.heldOutCount)).map(\.text))
    for index in 0..<500 { #expect(!heldOut.contains(try short.prompt(index: index, split: .train).text)) }
    #expect(heldOut.isSuperset(of: try short.heldOut(count: 200).map(\.text)))
  }

  @Test("Version 1 has the parts of version 0.1, which counted from the smallest number")
  func firstVersion() throws {
    let task = try Self.task(.addition, size: 2, version: .byNumber)
    let mixed = try Self.task(.addition, size: 2, minimum: 1, version: .byNumber)
    let (parts, others) = (try Self.parts(task), try Self.parts(mixed))
    #expect(!parts.train.isDisjoint(with: others.heldOut))
    // Computed independently of this program.
    #expect(try task.heldOut(count: 4).map(\.text) == Self.firstHeldOut)
    #expect(try (0..<4).map { try task.prompt(index: $0, split: .train).text } == Self.firstTrained)
  }

  private static let firstHeldOut = ["98+86=", "16+20=", "64+43=", "77+88="]
  private static let firstTrained = ["73+29=", "71+51=", "68+80=", "81+18="]

  @Test("Reinforcement draws other problems than demonstrations, except in version 1, and holds out the same")
  func orders() throws {
    func texts(_ use: PromptUse, _ version: SplitVersion, _ split: Split = .train) throws -> [String] {
      let task = try Self.task(.addition, size: 2, version: version, use: use)
      return try (0..<64).map { try task.prompt(index: $0, split: split).text }
    }
    let same = zip(try texts(.demonstrations, .byText), try texts(.reinforcement, .byText)).count { $0 == $1 }
    #expect(same < 4)
    #expect(try texts(.demonstrations, .byNumber) == texts(.reinforcement, .byNumber))
    #expect(try texts(.demonstrations, .byText, .heldOut) == texts(.reinforcement, .byText, .heldOut))
  }
}
