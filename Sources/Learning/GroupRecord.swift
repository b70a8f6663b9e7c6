import Objectives
import Parameters
import Rollouts

/// What one group contributed to a step, as numbers that ranks exchange: every rank adds all groups' records in the
/// order of their ids, so losses and metrics are the same bits on any layout.
struct GroupRecord: Sendable {
  let group: UInt64
  private(set) var rewards: (mean: Double, deviation: Double, uniform: Bool) = (0, 0, false)
  /// Whether a token of the group has an advantage.
  private(set) var teaches = false
  private(set) var terms = ObjectiveTerms()
  private(set) var statistics = RatioStatistics()
  private(set) var trajectories = 0
  private(set) var tokens = 0
  private(set) var clipped = 0
  /// Latent bits that equal the sketch of what followed, of how many.
  private(set) var latentHits = 0
  private(set) var latentBits = 0
  /// The first trajectory with a term that is not finite, and the first tensor that could not be added; −1: none.
  private(set) var badTrajectory = -1.0
  private(set) var badTensor = -1.0

  init(group: UInt64, _ objective: GroupObjective) {
    self.group = group
    teaches = objective.teaches
    if let statistics = try? RewardStatistics(of: objective.trajectoryRewards) {
      rewards = (statistics.mean, statistics.standardDeviation, statistics.isUniform)
    }
  }

  mutating func add(_ result: PolicyLoss.Result, _ trajectory: Trajectory) {
    terms += result.terms
    statistics += result.statistics
    trajectories += 1
    tokens += trajectory.logProbabilities.count
    if !trajectory.finished { clipped += 1 }
    let all = result.terms
    let sum = all.policy + all.entropy + all.aux + all.diffusion + all.value + all.kl
    if badTrajectory < 0, !sum.isFinite { badTrajectory = Double(trajectory.id) }
  }

  /// Compares the latents of a trajectory's positions, but the last one, with their targets.
  mutating func compare(latents: ArraySlice<UInt8>, targets: ArraySlice<UInt8>, bits: Int, positions: Int) {
    var wrong = 0
    for (latent, target) in zip(latents, targets).prefix((bits + 7) / 8 * max(0, positions - 1)) {
      wrong += (latent ^ target).nonzeroBitCount
    }
    latentBits += bits * max(0, positions - 1)
    latentHits += bits * max(0, positions - 1) - wrong
  }

  mutating func fail(tensor: ParameterID, _ group: UInt64) { badTensor = Double(tensor.index) }

  static let width = 26

  var numbers: [Double] {
    [
      Double(group), rewards.mean, rewards.deviation, rewards.uniform ? 1 : 0, terms.policy, terms.entropy, terms.aux,
      terms.diffusion, terms.value, terms.kl, Double(statistics.tokens), Double(statistics.clippedLow),
      Double(statistics.clippedHigh), statistics.ratioSum, statistics.ratioMaximum, statistics.k1Sum,
      statistics.k3Sum, statistics.logRatioMaximum, Double(trajectories), Double(tokens), Double(clipped),
      badTrajectory, badTensor, Double(latentHits), Double(latentBits),
      teaches ? 1 : 0,
    ]
  }

  init(numbers: [Double]) {
    precondition(numbers.count == Self.width, "a record of \(numbers.count) numbers")
    group = UInt64(numbers[0])
    rewards = (numbers[1], numbers[2], numbers[3] != 0)
    terms.policy = numbers[4]
    terms.entropy = numbers[5]
    terms.aux = numbers[6]
    terms.diffusion = numbers[7]
    terms.value = numbers[8]
    terms.kl = numbers[9]
    statistics.tokens = Int(numbers[10])
    statistics.clippedLow = Int(numbers[11])
    statistics.clippedHigh = Int(numbers[12])
    statistics.ratioSum = numbers[13]
    statistics.ratioMaximum = numbers[14]
    statistics.k1Sum = numbers[15]
    statistics.k3Sum = numbers[16]
    statistics.logRatioMaximum = numbers[17]
    trajectories = Int(numbers[18])
    tokens = Int(numbers[19])
    clipped = Int(numbers[20])
    badTrajectory = numbers[21]
    badTensor = numbers[22]
    latentHits = Int(numbers[23])
    latentBits = Int(numbers[24])
    teaches = numbers[25] != 0
  }
}
