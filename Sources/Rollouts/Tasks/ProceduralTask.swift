import Tensors

/// Prompts drawn from a family of problems.
///
/// Prompt i of a part is drawn with sequence i of Philox (stream 8 for reinforcement, otherwise 7): attempt a = 0, 1, …
/// uses the words of position a, and the first problem that belongs to the part is used. Whether a problem is held out
/// depends only on its text, not on the seed nor on the other problems of the family.
public struct ProceduralTask: PromptSource {
  public let family: any ProblemFamily
  public let seed: UInt64
  public let heldOutShare: Double
  private let version: SplitVersion
  private let stream: RandomStream
  private static let maximumAttempts: UInt32 = 10_000
  /// Spaces up to this size are enumerated; larger ones are sampled.
  private static let maximumListed = 1 << 20

  public var name: String { family.name }

  public var heldOutCount: Int? {
    if heldOutShare == 0 { return 0 }
    return spaceSize == nil ? nil : distinctHeldOut(limit: .max).count
  }

  /// - Parameters:
  ///   - heldOutShare: the expected share of held-out problems, from 0 to below 1.
  ///   - use: the purpose of the `train` prompts.
  public init(
    family: any ProblemFamily, seed: UInt64, heldOutShare: Double = 0.2, version: SplitVersion = .current,
    use: PromptUse = .reinforcement
  ) throws(TaskError) {
    try TaskError.checkShare(heldOutShare, task: family.name)
    self.family = family
    self.seed = seed
    self.heldOutShare = heldOutShare
    self.version = version
    stream = use == .reinforcement && version == .byText ? .reinforcementPrompts : .taskGeneration
  }

  public func prompt(index: Int, split: Split) throws(TaskError) -> Prompt {
    precondition(index >= 0, "prompt index \(index) is negative")
    guard let choices = draw(split == .train ? stream : .taskGeneration, seed: seed, index: index, split: split) else {
      throw TaskError(
        task: name, problem: "no problem of the \(split.rawValue) part was found",
        remedy: "change the held-out share (\(heldOutShare)) or raise the difficulty")
    }
    return prompt(choices, id: index)
  }

  public func heldOut(count: Int) throws(TaskError) -> [Prompt] {
    let choices = distinctHeldOut(limit: count)
    if choices.count < count { throw TaskError.tooFewHeldOut(task: name, available: choices.count, wanted: count) }
    return choices.enumerated().map { prompt($0.element, id: $0.offset) }
  }

  /// Whether a problem belongs to the held-out part.
  public func isHeldOut(_ choices: [UInt64]) -> Bool {
    if version == .byText {
      return StableHash.isHeldOut(family.identity(choices), share: heldOutShare, version: version)
    }
    var bytes = Array(name.utf8)
    for choice in family.canonical(choices) {
      for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: choice >> shift)) }
    }
    return StableHash.isHeldOut(bytes, share: heldOutShare)
  }

  /// Problems of maximum size, to size buffers; among them the longest answer of a difference.
  public var largest: [Prompt] {
    let all = family.radices.map { $0 - 1 }
    return [all, [0] + all.dropFirst()].map { prompt($0, id: 0) }
  }

  private func draw(_ stream: RandomStream, seed: UInt64, index: Int, split: Split) -> [UInt64]? {
    let generator = Philox(seed: seed)
    let radices = family.radices
    for attempt in 0..<Self.maximumAttempts {
      let words = generator.words(
        stream: stream, sequence: UInt64(index), position: attempt, count: 2 * radices.count)
      let choices = radices.indices.map { choice in
        // ⌊word64 · radix / 2⁶⁴⌋: its bias is below radix / 2⁶⁴.
        (UInt64(words[2 * choice + 1]) << 32 | UInt64(words[2 * choice])).multipliedFullWidth(by: radices[choice]).high
      }
      if isHeldOut(choices) == (split == .heldOut) { return choices }
    }
    return nil
  }

  /// The distinct held-out problems, at most `limit`, in an order that does not depend on the seed.
  private func distinctHeldOut(limit: Int) -> [[UInt64]] {
    var texts: Set<String> = []
    var found: [[UInt64]] = []
    func add(_ choices: [UInt64]) {
      if texts.insert(family.problem(choices).text).inserted { found.append(choices) }
    }
    if let spaceSize {
      let order = CounterPermutation(count: spaceSize, seed: 0, epoch: 0)
      for index in 0..<spaceSize where found.count < limit {
        let choices = self.choices(number: UInt64(order[index]))
        if isHeldOut(choices) { add(choices) }
      }
    } else {
      var index = 0
      let maximumDraws = 8 * min(limit, 1 << 40) + 1_000
      while found.count < limit, index < maximumDraws,
        let choices = draw(.taskGeneration, seed: 0, index: index, split: .heldOut)
      {
        add(choices)
        index += 1
      }
    }
    return found
  }

  /// The number of rows of choices, if they can be enumerated.
  private var spaceSize: Int? {
    var size: UInt64 = 1
    for radix in family.radices {
      let (product, overflow) = size.multipliedReportingOverflow(by: radix)
      if overflow || product > Self.maximumListed { return nil }
      size = product
    }
    return Int(size)
  }

  private func choices(number: UInt64) -> [UInt64] {
    var rest = number
    return family.radices.map { radix in
      defer { rest /= radix }
      return rest % radix
    }
  }

  private func prompt(_ choices: [UInt64], id: Int) -> Prompt {
    let problem = family.problem(choices)
    return Prompt(
      id: Int64(id), text: problem.text, answer: problem.answer, fields: ["task": .text(name)], origin: "task \(name)")
  }
}
