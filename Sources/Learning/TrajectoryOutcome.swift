import MPI
import Rollouts

/// A sampled trajectory and the outcome of its scoring, as numbers that ranks exchange.
package struct TrajectoryOutcome: Sendable, Equatable {
  /// The number of the group, and the index of the item in the group.
  let number: UInt64
  let index: Int
  /// The hash of the prompt.
  let digest: UInt64
  /// T, and the number of generated tokens.
  let tokens: Int
  let generated: Int
  let isFinished: Bool
  /// Whether the trajectory is the answer of the prompt, which no policy sampled.
  let isDemonstration: Bool
  /// The recorded trajectory that the sequence belongs to; nil if the sequence is a trajectory.
  let owner: Int?
  /// Nil if the trajectory has no score; then `reason` says why.
  let score: WeightedRewards.Score?
  let reason: UnscoredReason?
  /// Added to the reward; dynamic sampling ignores it.
  let shaping: Double
  /// Whether the main reward reaches `evaluation.threshold`.
  let isRight: Bool

  init(
    _ item: RolloutItem, _ trajectory: Trajectory, digest: UInt64, owner: Int? = nil,
    _ outcome: WeightedRewards.Outcome, shaping: Double = 0, isRight: Bool = false
  ) {
    number = UInt64(item.number)
    index = item.index
    self.digest = digest
    tokens = trajectory.tokens.count
    generated = trajectory.logProbabilities.count
    isFinished = trajectory.finished
    isDemonstration = trajectory.isDemonstration
    self.owner = owner
    self.shaping = shaping
    self.isRight = isRight
    switch outcome {
    case .scored(let score):
      self.score = WeightedRewards.Score(total: score.total, parts: score.parts, metrics: [:])
      reason = nil
    case .unscored(_, let reason):
      score = nil
      self.reason = reason
    }
  }

  /// - Parameter parts: number of rewards.
  private func numbers(parts: Int) -> [Int64] {
    let flags = (isFinished ? 1 : 0) | (isDemonstration ? 2 : 0) | (isRight ? 4 : 0)
    let reason = reason.flatMap { UnscoredReason.allCases.firstIndex(of: $0) } ?? -1
    // A reward that does not apply is NaN, which no score is.
    let own = score?.parts.map { $0 ?? .nan } ?? [Double](repeating: 0, count: parts)
    let reals = [score?.total ?? 0, shaping] + own
    precondition(reals.count == 2 + parts, "\(reals.count - 2) parts of a score of \(parts)")
    return [
      Int64(bitPattern: number), Int64(index), Int64(bitPattern: digest), Int64(tokens), Int64(generated),
      Int64(flags), Int64(owner ?? -1), Int64(reason),
    ] + reals.map { Int64(bitPattern: $0.bitPattern) }
  }

  private init(numbers: ArraySlice<Int64>) {
    let values = Array(numbers)
    let reals = values[8...].map { Double(bitPattern: UInt64(bitPattern: $0)) }
    number = UInt64(bitPattern: values[0])
    index = Int(values[1])
    digest = UInt64(bitPattern: values[2])
    tokens = Int(values[3])
    generated = Int(values[4])
    isFinished = values[5] & 1 != 0
    isDemonstration = values[5] & 2 != 0
    isRight = values[5] & 4 != 0
    owner = values[6] < 0 ? nil : Int(values[6])
    reason = values[7] < 0 ? nil : UnscoredReason.allCases[Int(values[7])]
    let parts: [Double?] = reals[2...].map { $0.isNaN ? nil : $0 }
    score = values[7] < 0 ? WeightedRewards.Score(total: reals[0], parts: parts, metrics: [:]) : nil
    shaping = reals[1]
  }

  /// The outcomes of all ranks, in order of groups and items. Collective.
  ///
  /// - Parameter parts: number of rewards.
  static func gather(_ own: [Self], parts: Int, _ communicator: Communicator) throws(MPIError) -> [Self] {
    guard communicator.size > 1 else { return own }
    let width = 10 + parts
    let all = try communicator.allGatherv(own.flatMap { $0.numbers(parts: parts) })
    return all.flatMap { numbers in
      stride(from: 0, to: numbers.count, by: width).map { Self(numbers: numbers[$0..<$0 + width]) }
    }
    .sorted { ($0.number, $0.index) < ($1.number, $1.index) }
  }
}
