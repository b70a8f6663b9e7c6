import MPI
import Objectives
import Rollouts
import Tensors

/// The metrics of one optimizer step, equal on every rank.
public struct StepReport: Sendable {
  public let step: Int
  public let learningRate: Double
  /// Metrics by their usual names (`reward`, `entropy`, `kl`, `loss/…`).
  public internal(set) var metrics: [String: Double]
  /// A line for the log; nil if the step has no warning.
  public internal(set) var warning: String?
  /// The unscored completions; nil if all completions have a score.
  public internal(set) var unscored: UnscoredCount?
  /// How many slots chose each target of the routers.
  public internal(set) var loads: RoutingSnapshot?
  /// The prompts drawn for the step; nil if the step drew none.
  public internal(set) var prompts: PromptLedger?
  /// Sample completions of this rank.
  public internal(set) var samples: [CompletionSample] = []

  init(
    step: Int, records: [GroupRecord], objective: ObjectiveConfiguration, norm: Double, learningRate: Double
  ) {
    self.step = step
    self.learningRate = learningRate
    var terms = ObjectiveTerms()
    var statistics = RatioStatistics()
    var entropy = 0.0
    var rewards = 0.0
    var deviation = 0.0
    for record in records {
      terms += record.terms
      statistics += record.statistics
      entropy += record.entropy
      rewards += record.rewardMean
      deviation += record.rewardDeviation
    }
    let groups = Double(max(1, records.count))
    metrics = [
      "reward": rewards / groups, "reward_std": deviation / groups,
      "frac_reward_zero_std": Double(records.count { $0.isUniform }) / groups, "grad_norm": norm,
      "learning_rate": learningRate, "loss": terms.total(objective), "loss/policy": terms.policy,
      "loss/aux": terms.aux, "loss/diffusion": terms.diffusion, "loss/value": terms.value,
    ]
    // Metrics of tokens are undefined without a token in the loss.
    let learning = records.count { $0.statistics.tokens > 0 }
    if learning > 0 {
      metrics.merge([
        // Groups without a token in the loss have no entropy.
        "entropy": learning == records.count ? entropy : entropy * groups / Double(learning),
        "kl": statistics.k3Mean, "kl/k1": statistics.k1Mean, "clip_ratio/low": statistics.clipShareLow,
        "clip_ratio/high": statistics.clipShareHigh, "ratio/mean": statistics.ratioMean,
        "ratio/max": statistics.ratioMaximum,
      ]) { $1 }
    }
    let bits = records.reduce(0) { $0 + $1.latentBits }
    if bits > 0 { metrics["latent/accuracy"] = Double(records.reduce(0) { $0 + $1.latentHits }) / Double(bits) }
    if objective.klCoef != 0 { metrics["loss/kl_reference"] = terms.kl }
  }
}
