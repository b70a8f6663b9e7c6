import MPI
import Formats
import Rollouts

/// The outcome of one sampled group, as numbers that ranks exchange. Every rank adds all records in the order of group
/// numbers, so metrics and decisions are the same on any layout.
package struct RolloutRecord: RankRecord, Equatable {
  /// Whether the group is used for training.
  enum Fate: Double, RankRecord {
    case kept = 0
    /// All raw rewards are equal, so no advantage exists (only with dynamic sampling).
    case uniform = 1
    /// Fewer than two trajectories have a score.
    case unscored = 2
  }

  let number: UInt64
  /// The hash of the prompt.
  let digest: UInt64
  var fate = Fate.kept
  var unscored: [UnscoredReason: Int] = [:]
  /// The sum of each reward over the scored trajectories to which it applies, before its weight.
  private(set) var parts: [Double]
  /// For each reward, the number of scored trajectories to which it applies.
  private(set) var applied: [Int]
  private(set) var scored = 0
  /// The sum of the weighted raw rewards of the scored trajectories.
  private(set) var reward = 0.0
  private(set) var trajectories = 0
  private(set) var generatedTokens = 0
  /// Number of trajectories that reached the length limit.
  private(set) var unfinished = 0

  package init(number: UInt64, digest: UInt64, parts: Int) {
    self.number = number
    self.digest = digest
    self.parts = [Double](repeating: 0, count: parts)
    applied = [Int](repeating: 0, count: parts)
  }

  mutating func count(generated: Int, isFinished: Bool) {
    trajectories += 1
    generatedTokens += generated
    if !isFinished { unfinished += 1 }
  }

  mutating func add(_ score: WeightedRewards.Score) {
    scored += 1
    reward += score.total
    for case (let index, let part?) in score.parts.enumerated() {
      parts[index] += part
      applied[index] += 1
    }
  }

  package static func width(parts: Int) -> Int { 9 + UnscoredReason.allCases.count + 2 * parts }

  /// The digest is split into two halves, because a double represents each half exactly.
  package var numbers: [Double] {
    let head = [
      Double(number), Double(digest >> 32), Double(digest & 0xFFFF_FFFF), fate.rawValue, Double(scored), reward,
      Double(trajectories), Double(generatedTokens), Double(unfinished),
    ]
    return head + UnscoredReason.allCases.map { Double(unscored[$0] ?? 0) } + parts + applied.map(Double.init)
  }

  /// The numbers of a record that was saved before a reward could leave out a trajectory: every reward applied to every
  /// scored trajectory.
  ///
  /// - Parameter earlier: as `numbers`, but without `applied`.
  package static func numbers(earlier: [Double], parts: Int) -> [Double] {
    earlier + [Double](repeating: earlier[4], count: parts)
  }

  /// Whether the numbers can be a record: all except sums of rewards are integers from 0 to 2⁵³, and no reward applies to
  /// more trajectories than have a score.
  package static func isValid(_ numbers: [Double]) -> Bool {
    let head = width(parts: 0)
    guard numbers.count >= head, (numbers.count - head).isMultiple(of: 2) else { return false }
    let applied = numbers[(head + (numbers.count - head) / 2)...]
    let counts = numbers[..<head].enumerated().filter { $0.offset != 5 }.map(\.element) + applied
    let halves = numbers[1...2].allSatisfy { $0 <= 0xFFFF_FFFF }
    return halves && counts.allSatisfy { (0...0x1p53).contains($0) && $0 == $0.rounded() }
      && applied.allSatisfy { $0 <= numbers[4] }
  }

  package init(numbers: [Double]) {
    let reasons = UnscoredReason.allCases
    precondition(numbers.count >= Self.width(parts: 0), "a rollout record of \(numbers.count) numbers")
    number = UInt64(numbers[0])
    digest = UInt64(numbers[1]) << 32 | UInt64(numbers[2])
    fate = Fate(rawValue: numbers[3]) ?? .kept
    scored = Int(numbers[4])
    reward = numbers[5]
    trajectories = Int(numbers[6])
    generatedTokens = Int(numbers[7])
    unfinished = Int(numbers[8])
    for (index, reason) in reasons.enumerated() where numbers[9 + index] > 0 {
      unscored[reason] = Int(numbers[9 + index])
    }
    let sums = numbers[Self.width(parts: 0)...]
    parts = Array(sums.prefix(sums.count / 2))
    applied = sums.suffix(sums.count / 2).map { Int($0) }
  }
}

/// The prompts that a step drew. Numbers have no gap, so consecutive ledgers prove that no prompt was skipped or
/// repeated. The sum of the digests of an epoch is the same for every epoch and every order.
public struct PromptLedger: Sendable, Equatable {
  /// The first number drawn; the next step begins at `first` + `count`.
  public let first: Int
  public let count: Int
  /// Σ of the prompts' digests, modulo 2⁶⁴.
  public let digest: UInt64
  /// Numbers of the dropped groups, by reason: `uniform` or `unscored`.
  public let dropped: [String: [Int]]
  /// The draws of the difficulty samplers; empty without.
  public internal(set) var draws: [Draws] = []

  /// The visits of a source's prompts from which a difficulty sampler drew.
  public struct Draws: Sendable, Equatable {
    /// The source's name; nil for the only source.
    public let source: String?
    /// The first visit, and the number of visits, those that were skipped included.
    public let first: Int
    public let count: Int
    /// The visits that were drawn, ascending.
    public let drawn: [Int]
  }

  init(first: Int, _ records: [RolloutRecord]) {
    self.first = first
    count = records.count
    digest = records.reduce(0) { $0 &+ $1.digest }
    var dropped: [String: [Int]] = [:]
    for record in records where record.fate != .kept {
      dropped["\(record.fate)", default: []].append(Int(record.number))
    }
    self.dropped = dropped
  }
}
