import Tensors

/// Several sources of prompts, drawn in fixed shares.
///
/// Draws come in blocks of L numbers, of which source s gets n_s: L is the smallest length in which n_s/L is within
/// 0.5 % of every share, at most 1,000. A permutation of the block (`CounterPermutation`, stream 9) assigns the numbers,
/// so every rank can compute the source of every number, and the draws of a source have no gap and no repetition.
/// Without shuffling, the sources of a block alternate evenly.
public struct PromptMixture: PromptSource {
  /// A source with its name and its relative share of the draws.
  public struct Part: Sendable {
    public let name: String
    public let weight: Double
    public let source: any PromptSource

    public init(name: String, weight: Double, source: any PromptSource) {
      self.name = name
      self.weight = weight
      self.source = source
    }
  }

  /// A source's number in `parts`, and the number of its draws before.
  public struct Draw: Equatable, Sendable {
    public let part: Int
    public let earlier: Int
  }

  /// The maximum numbers of a block.
  public static let largestBlock = 1_000

  public let name: String
  public let parts: [Part]
  private let seed: UInt64
  private let isShuffled: Bool
  private let counts: [Int]
  /// The draws of a block, in an even order.
  private let block: [Draw]

  /// - Parameter parts: at least one, each with a weight above 0.
  public init(name: String, parts: [Part], seed: UInt64, isShuffled: Bool = true) {
    precondition(!parts.isEmpty && parts.allSatisfy { $0.weight > 0 }, "a mixture needs sources with weights above 0")
    self.name = name
    self.parts = parts
    self.seed = seed
    self.isShuffled = isShuffled
    counts = Self.counts(parts.map(\.weight))
    let draws = counts.enumerated().flatMap { part, count in (0..<count).map { Draw(part: part, earlier: $0) } }
    let counts = counts
    func position(_ draw: Draw) -> Double { (Double(draw.earlier) + 0.5) / Double(counts[draw.part]) }
    block = draws.sorted { (position($0), $0.part) < (position($1), $1.part) }
  }

  /// The draws of each source in a block.
  static func counts(_ weights: [Double]) -> [Int] {
    let sum = weights.reduce(0, +)
    let shares = weights.map { $0 / sum }
    for length in weights.count...max(largestBlock, weights.count) {
      let counts = shares.map { Int(($0 * Double(length)).rounded()) }
      guard counts.reduce(0, +) == length, !counts.contains(0) else { continue }
      let isNear = zip(counts, shares).allSatisfy { abs(Double($0) / Double(length) - $1) <= 0.005 * $1 }
      if isNear { return counts }
    }
    // No length is near: the largest remainders get what rounding down leaves.
    let wanted = shares.map { $0 * Double(largestBlock) }
    var counts = wanted.map { max(1, Int($0)) }
    let order = wanted.indices.sorted { (wanted[$1] - Double(counts[$1]), $0) < (wanted[$0] - Double(counts[$0]), $1) }
    for index in order where counts.reduce(0, +) < largestBlock { counts[index] += 1 }
    return counts
  }

  /// The source of draw `index`.
  public func draw(_ index: Int) -> Draw {
    let (number, position) = index.quotientAndRemainder(dividingBy: block.count)
    let slot =
      isShuffled
      ? CounterPermutation(count: block.count, seed: seed, epoch: UInt64(number), stream: .sourceMixing)[position]
      : position
    let draw = block[slot]
    return Draw(part: draw.part, earlier: number * counts[draw.part] + draw.earlier)
  }

  /// This mixture with other sources for its parts.
  public func replacingSources(_ replace: (Part) -> any PromptSource) -> PromptMixture {
    PromptMixture(
      name: name, parts: parts.map { Part(name: $0.name, weight: $0.weight, source: replace($0)) }, seed: seed,
      isShuffled: isShuffled)
  }

  public var heldOutCount: Int? {
    let counts = parts.compactMap(\.source.heldOutCount)
    return counts.count == parts.count ? counts.reduce(0, +) : nil
  }

  public func prompt(index: Int, split: Split) throws(TaskError) -> Prompt {
    precondition(index >= 0, "prompt index \(index) is negative")
    let draw = draw(index)
    var prompt = try parts[draw.part].source.prompt(index: draw.earlier, split: split)
    prompt.id = Int64(index)
    return prompt
  }

  /// The first held-out prompts of each source in turn.
  public func heldOut(count: Int) throws(TaskError) -> [Prompt] {
    var wanted = [Int](repeating: 0, count: parts.count)
    var total = 0
    while total < count {
      let before = total
      for (index, part) in parts.enumerated() where total < count && wanted[index] < part.source.heldOutCount ?? .max {
        wanted[index] += 1
        total += 1
      }
      if before == total { throw TaskError.tooFewHeldOut(task: name, available: total, wanted: count) }
    }
    var prompts: [Prompt] = []
    for (part, count) in zip(parts, wanted) where count > 0 { prompts += try part.source.heldOut(count: count) }
    for index in prompts.indices { prompts[index].id = Int64(index) }
    return prompts
  }
}
