import Tensors

/// A finite set of prompts, visited in a new order each epoch or, without shuffling, in their own order.
///
/// Train prompt i is element (i mod n) of the permutation of epoch ⌊i/n⌋; held-out prompts keep their order.
public struct PromptSet: PromptSource {
  public let name: String
  public let train: [Prompt]
  public let heldOut: [Prompt]
  private let seed: UInt64
  private let stream: RandomStream
  private let isShuffled: Bool
  /// The first of `heldOut` with each text.
  private let distinctHeldOut: [Prompt]

  public var heldOutCount: Int? { distinctHeldOut.count }

  /// Divides prompts by a hash of their text, so that repetitions stay in one part for every seed.
  ///
  /// Canonically equivalent texts (NFC and NFD) count as one text.
  ///
  /// - Parameters:
  ///   - heldOutShare: the expected share of held-out prompts, from 0 to below 1.
  ///   - use: the purpose of the `train` prompts.
  ///   - isShuffled: whether each epoch visits the `train` prompts in a new order.
  public init(
    name: String, prompts: [Prompt], seed: UInt64, heldOutShare: Double = 0.1, version: SplitVersion = .current,
    use: PromptUse = .reinforcement, isShuffled: Bool = true
  ) throws(TaskError) {
    try TaskError.checkShare(heldOutShare, task: name)
    // Strings compare by canonical equivalence; the bytes that version 1 hashes may differ between equivalent texts.
    let texts = Set(
      prompts.lazy.map(\.text).filter { StableHash.isHeldOut($0, share: heldOutShare, version: version) })
    try self.init(
      name: name, train: prompts.filter { !texts.contains($0.text) },
      heldOut: prompts.filter { texts.contains($0.text) }, seed: seed, version: version, use: use,
      isShuffled: isShuffled)
  }

  /// Uses the given parts, which must not share a prompt text.
  public init(
    name: String, train: [Prompt], heldOut: [Prompt], seed: UInt64, version: SplitVersion = .current,
    use: PromptUse = .reinforcement, isShuffled: Bool = true
  ) throws(TaskError) {
    var originOfText: [String: String] = [:]
    for prompt in train { originOfText[prompt.text] = prompt.origin }
    for prompt in heldOut {
      guard let origin = originOfText[prompt.text] else { continue }
      throw TaskError(
        task: name, problem: "\(prompt.origin) holds out a prompt that \(origin) trains on",
        remedy: "remove one of them")
    }
    self.name = name
    self.train = train
    self.heldOut = heldOut
    self.seed = seed
    self.isShuffled = isShuffled
    stream = use == .reinforcement && version == .byText ? .reinforcementPrompts : .shuffling
    var texts: Set<String> = []
    distinctHeldOut = heldOut.filter { texts.insert($0.text).inserted }
  }

  public func prompt(index: Int, split: Split) throws(TaskError) -> Prompt {
    precondition(index >= 0, "prompt index \(index) is negative")
    let prompts = split == .train ? train : heldOut
    if prompts.isEmpty {
      throw TaskError(
        task: name, problem: "the \(split.rawValue) part is empty", remedy: "add prompts or change the held-out share")
    }
    let (epoch, visit) = index.quotientAndRemainder(dividingBy: prompts.count)
    let element =
      split == .train && isShuffled
      ? CounterPermutation(count: prompts.count, seed: seed, epoch: UInt64(epoch), stream: stream)[visit] : visit
    var prompt = prompts[element]
    prompt.id = Int64(index)
    return prompt
  }

  public func heldOut(count: Int) throws(TaskError) -> [Prompt] {
    let available = distinctHeldOut.count
    if available < count { throw TaskError.tooFewHeldOut(task: name, available: available, wanted: count) }
    return distinctHeldOut.prefix(count).enumerated().map { number, prompt in
      var prompt = prompt
      prompt.id = Int64(number)
      return prompt
    }
  }
}
