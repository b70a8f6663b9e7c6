/// A finite set of prompts, visited in a new order each epoch.
///
/// Train prompt i is element (i mod n) of the permutation of epoch ⌊i/n⌋; held-out prompts keep their order.
public struct PromptSet: PromptSource {
  public let name: String
  public let train: [Prompt]
  public let heldOut: [Prompt]
  private let seed: UInt64

  public var heldOutCount: Int? { heldOut.count }

  /// Divides prompts by a hash of their text, so that repetitions stay in one part, whatever the seed.
  ///
  /// - Parameter heldOutShare: the expected share of held-out prompts, from 0 to below 1.
  public init(name: String, prompts: [Prompt], seed: UInt64, heldOutShare: Double = 0.1) throws(TaskError) {
    try TaskError.checkShare(heldOutShare, task: name)
    let isHeldOut = prompts.map { StableHash.isHeldOut($0.text.utf8, share: heldOutShare) }
    try self.init(
      name: name, train: zip(prompts, isHeldOut).filter { !$0.1 }.map(\.0),
      heldOut: zip(prompts, isHeldOut).filter { $0.1 }.map(\.0), seed: seed)
  }

  /// Takes the two parts as they are, which may share no prompt text.
  public init(name: String, train: [Prompt], heldOut: [Prompt], seed: UInt64) throws(TaskError) {
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
  }

  public func prompt(index: Int, split: Split) throws(TaskError) -> Prompt {
    precondition(index >= 0, "prompt index \(index) is negative")
    let prompts = split == .train ? train : heldOut
    if prompts.isEmpty {
      throw TaskError(
        task: name, problem: "the \(split.rawValue) part is empty", remedy: "add prompts or change the held-out share")
    }
    let (epoch, place) = index.quotientAndRemainder(dividingBy: prompts.count)
    let element =
      split == .train ? CounterPermutation(count: prompts.count, seed: seed, epoch: UInt64(epoch))[place] : place
    var prompt = prompts[element]
    prompt.id = Int64(index)
    return prompt
  }

  public func heldOut(count: Int) throws(TaskError) -> [Prompt] {
    var texts: Set<String> = []
    var prompts: [Prompt] = []
    for var prompt in heldOut where prompts.count < count && texts.insert(prompt.text).inserted {
      prompt.id = Int64(prompts.count)
      prompts.append(prompt)
    }
    if prompts.count < count { throw TaskError.tooFewHeldOut(task: name, available: prompts.count, wanted: count) }
    return prompts
  }
}
