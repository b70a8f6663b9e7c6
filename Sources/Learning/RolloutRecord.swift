import MPI
import Formats
import Rollouts

/// What became of one sampled group, as numbers that ranks exchange: every rank adds all records in the order of their
/// numbers, so figures and decisions are the same on any layout.
package struct RolloutRecord: RankRecord, Equatable {
  /// Whether a group is trained on.
  enum Fate: Double, RankRecord {
    case kept = 0
    /// All raw rewards are equal: nothing to learn from (only with dynamic sampling).
    case uniform = 1
    /// Fewer than two trajectories have a score.
    case unscored = 2
  }

  let number: UInt64
  /// The prompt's hash.
  let digest: UInt64
  var fate = Fate.kept
  var unscored: [UnscoredReason: Int] = [:]
  /// The sum of each reward over the scored trajectories, before its weight.
  private(set) var parts: [Double]
  private(set) var scored = 0
  /// The sum of the weighted raw rewards of the scored trajectories.
  private(set) var reward = 0.0
  private(set) var trajectories = 0
  private(set) var generatedTokens = 0
  /// Trajectories that met the length limit.
  private(set) var unfinished = 0

  package init(number: UInt64, digest: UInt64, parts: Int) {
    self.number = number
    self.digest = digest
    self.parts = [Double](repeating: 0, count: parts)
  }

  mutating func count(_ trajectory: Trajectory) {
    trajectories += 1
    generatedTokens += trajectory.logProbabilities.count
    if !trajectory.finished { unfinished += 1 }
  }

  mutating func add(_ score: WeightedRewards.Score) {
    scored += 1
    reward += score.total
    for (index, part) in score.parts.enumerated() { parts[index] += part }
  }

  package static func width(parts: Int) -> Int { 9 + UnscoredReason.allCases.count + parts }

  /// The hash travels in two halves, each of which a double holds exactly.
  package var numbers: [Double] {
    let head = [
      Double(number), Double(digest >> 32), Double(digest & 0xFFFF_FFFF), fate.rawValue, Double(scored), reward,
      Double(trajectories), Double(generatedTokens), Double(unfinished),
    ]
    return head + UnscoredReason.allCases.map { Double(unscored[$0] ?? 0) } + parts
  }

  /// Whether the numbers are those of a record: all but sums of rewards are whole, and none is too large to count with.
  package static func isValid(_ numbers: [Double]) -> Bool {
    guard numbers.count >= width(parts: 0) else { return false }
    let counts = numbers[..<(9 + UnscoredReason.allCases.count)].enumerated().filter { $0.offset != 5 }.map(\.element)
    let halves = numbers[1...2].allSatisfy { $0 <= 0xFFFF_FFFF }
    return halves && counts.allSatisfy { (0...0x1p53).contains($0) && $0 == $0.rounded() }
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
    parts = Array(numbers[(9 + reasons.count)...])
  }
}

/// The prompts that a step drew: numbers without a gap, so that ledgers that follow one another prove that no prompt
/// was skipped or repeated. The sum of the digests of one epoch is the same in every epoch and for every order.
public struct PromptLedger: Sendable, Equatable {
  /// The first number drawn; the next step begins at `first` + `count`.
  public let first: Int
  public let count: Int
  /// Σ of the prompts' digests, modulo 2⁶⁴.
  public let digest: UInt64
  /// Numbers of the groups that are not trained on, by the reason: `uniform` or `unscored`.
  public let dropped: [String: [Int]]

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
