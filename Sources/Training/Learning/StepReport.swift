import MPI
import Objectives
import Rollouts
import Tensors

/// The figures of one optimizer step, equal on every rank.
public struct StepReport: Sendable {
  public let step: Int
  public let learningRate: Double
  /// Figures by the field's names (`reward`, `entropy`, `kl`, `loss/…`).
  public internal(set) var metrics: [String: Double]
  /// A line for the log, where the update was skipped.
  public internal(set) var warning: String?
  /// Sample completions of this rank.
  public internal(set) var samples: [SamplesWriter.Sample] = []

  init(
    step: Int, records: [GroupRecord], objective: ObjectiveConfiguration, norm: Double, learningRate: Double
  ) {
    self.step = step
    self.learningRate = learningRate
    var terms = ObjectiveTerms()
    var statistics = RatioStatistics()
    var rewards = 0.0
    var deviation = 0.0
    for record in records {
      terms += record.terms
      statistics += record.statistics
      rewards += record.rewards.mean
      deviation += record.rewards.deviation
    }
    let groups = Double(max(1, records.count))
    let trajectories = Double(max(1, records.reduce(0) { $0 + $1.trajectories }))
    metrics = [
      "reward": rewards / groups, "reward_std": deviation / groups,
      "frac_reward_zero_std": Double(records.count { $0.rewards.uniform }) / groups,
      "entropy": terms.entropy, "kl": statistics.k3Mean, "kl/k1": statistics.k1Mean,
      "clip_ratio/low": statistics.clipShareLow, "clip_ratio/high": statistics.clipShareHigh,
      "ratio/mean": statistics.ratioMean, "ratio/max": statistics.ratioMaximum,
      "completions/mean_length": Double(records.reduce(0) { $0 + $1.tokens }) / trajectories,
      "completions/clipped_ratio": Double(records.reduce(0) { $0 + $1.clipped }) / trajectories,
      "grad_norm": norm, "learning_rate": learningRate, "loss": terms.total(objective), "loss/policy": terms.policy,
      "loss/aux": terms.aux, "loss/diffusion": terms.diffusion, "loss/value": terms.value,
    ]
    if objective.klCoef != 0 { metrics["loss/kl_reference"] = terms.kl }
  }
}

/// Seconds of each phase of a step.
struct PhaseClock {
  private var last = ContinuousClock.now
  private let start = ContinuousClock.now
  private(set) var seconds: [String: Double] = [:]

  mutating func lap(_ phase: String) {
    let now = ContinuousClock.now
    seconds[phase] = (now - last) / .seconds(1)
    last = now
  }

  var total: Double { (ContinuousClock.now - start) / .seconds(1) }
}

/// This rank's groups of a step with their prompts, completions and scores.
public struct RolloutBatch: Sendable {
  public private(set) var groups: [TrajectoryGroup] = []
  public private(set) var samples: [SamplesWriter.Sample] = []
  let rewardNames: [String]
  /// Per group: the sum of each reward, its trajectories and their tokens.
  private var sums: [[Double]] = []

  init(rewardNames: [String]) { self.rewardNames = rewardNames }

  mutating func add(
    _ group: TrajectoryGroup, _ prompt: Prompt, _ tokenizer: any Tokenizer,
    score: (Prompt, String, Trajectory) throws -> (WeightedRewards.Score, Double)
  ) throws {
    var group = group
    var sum = [Double](repeating: 0, count: rewardNames.count + 2)
    for trajectory in group.trajectories {
      let completion = tokenizer.decode(
        trajectory.generatedTokens.filter { $0 != tokenizer.endToken })
      let (score, shaping) = try score(prompt, completion, trajectory)
      group.rewards.append(score.total + shaping)
      for (index, part) in score.parts.enumerated() { sum[index] += part }
      sum[rewardNames.count] += 1
      sum[rewardNames.count + 1] += Double(trajectory.tokens.count)
      samples.append(
        SamplesWriter.Sample(
          prompt: prompt.text, completion: completion, answer: prompt.answer, reward: score.total + shaping,
          rewards: Dictionary(zip(rewardNames, score.parts)) { first, _ in first }))
    }
    groups.append(group)
    sums.append(sum)
  }

  /// Adds the means of each reward, times and throughput; collective.
  func addMetrics(to report: inout StepReport, clock: PhaseClock, _ communicator: Communicator) throws(MPIError) {
    let width = rewardNames.count + 2
    let totals = try communicator.gatherRecords(sums, width: width)
      .reduce([Double](repeating: 0, count: width)) { zip($0, $1).map(+) }
    for (index, name) in rewardNames.enumerated() {
      report.metrics["rewards/\(name)"] = totals[index] / max(1, totals[rewardNames.count])
    }
    let slowest = try communicator.allReduce(clock.total, .maximum)
    report.metrics["step_time"] = slowest
    report.metrics["tokens_per_second"] = totals[rewardNames.count + 1] / max(1e-9, slowest)
    for (phase, seconds) in clock.seconds { report.metrics["time/\(phase)"] = seconds }
    report.samples = samples
  }
}
