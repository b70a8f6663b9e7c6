import MPI
import Rollouts
import Telemetry

/// The rollouts of a step, as known to all ranks.
package struct RolloutSummary {
  package let first: Int
  private let names: [String]
  package var records: [RolloutRecord] = []
  /// Number of rounds in which groups were drawn.
  package var rounds = 0
  /// Samples and metrics of this rank.
  package var samples: [CompletionSample] = []
  /// Seconds that this rank spent in scorers.
  var rewardSeconds = 0.0
  /// Seconds that this rank waited for scores after the last token.
  var rewardWaitSeconds = 0.0
  package var figures: [RolloutBatch.Figure] = []

  package init(first: Int, names: [String]) {
    self.first = first
    self.names = names
  }

  /// Numbers of the groups to train on, ascending.
  var kept: [UInt64] { records.filter { $0.fate == .kept }.map(\.number) }

  /// Adds the records of all ranks for one round. Collective.
  mutating func add(_ local: [RolloutRecord], _ communicator: Communicator) throws(MPIError) {
    records += try communicator.gather(records: local).sorted { $0.number < $1.number }
    rounds += 1
  }

  /// Adds rewards, lengths, dropped groups by reason, the ledger and the samples to a report. Collective.
  func describe(_ report: inout StepReport, _ communicator: Communicator) throws(MPIError) {
    var parts = [Double](repeating: 0, count: names.count)
    var scored = 0
    var reward = 0.0
    for record in records {
      for (index, part) in record.parts.enumerated() { parts[index] += part }
      scored += record.scored
      reward += record.reward
    }
    if scored > 0 {
      for (name, part) in zip(names, parts) { report.metrics["rewards/\(name)"] = part / Double(scored) }
    }
    let trajectories = Double(max(1, records.reduce(0) { $0 + $1.trajectories }))
    report.metrics["completions/mean_length"] = Double(records.reduce(0) { $0 + $1.generatedTokens }) / trajectories
    report.metrics["completions/clipped_ratio"] = Double(records.reduce(0) { $0 + $1.unfinished }) / trajectories
    if rounds > 1 || records.contains(where: { $0.fate != .kept }) {
      report.metrics["sampling/rounds"] = Double(rounds)
      report.metrics["sampling/groups"] = Double(records.count)
      if scored > 0 { report.metrics["sampling/reward"] = reward / Double(scored) }
      report.metrics["sampling/dropped_uniform"] = Double(records.count { $0.fate == .uniform })
      report.metrics["sampling/dropped_unscored"] = Double(records.count { $0.fate == .unscored })
    }
    let unscored = UnscoredCount(records)
    report.metrics.merge(unscored.metrics) { $1 }
    if unscored.total > 0 { report.unscored = unscored }
    report.metrics["time/rewards"] = try communicator.allReduce(rewardSeconds, .maximum)
    report.metrics["reward/wait"] = try communicator.allReduce(rewardWaitSeconds, .maximum)
    for (name, value) in try meanFigures(communicator) { report.metrics["rewards/\(name)"] = value }
    report.prompts = PromptLedger(first: first, records)
    report.samples = samples
  }

  /// The mean of each metric over all ranks, added in the order of the groups.
  private func meanFigures(_ communicator: Communicator) throws(MPIError) -> [String: Double] {
    let all = try communicator.gather(records: figures)
    var sums: [String: (sum: Double, count: Double)] = [:]
    for figure in all.sorted(by: { $0.group < $1.group }) {
      let entry = sums[figure.name] ?? (0, 0)
      sums[figure.name] = (entry.sum + figure.value, entry.count + 1)
    }
    return sums.mapValues { $0.sum / $0.count }
  }
}

extension StepReport {
  /// Adds times, throughput (prompt and completion tokens of all ranks that the step trained on, divided by the slowest
  /// rank's seconds) and the maximum memory of any rank so far. Collective.
  mutating func add(_ clock: PhaseClock, tokens: Int, _ communicator: Communicator) throws(MPIError) {
    let slowest = try communicator.allReduce(clock.total, .maximum)
    let all = try communicator.allReduce(Int64(tokens), .sum)
    metrics["step_time"] = slowest
    let peak = ProcessMemory.peakBytes.map(Double.init) ?? .nan
    metrics["memory/peak_bytes"] = try communicator.allReduce(peak, .maximum)
    metrics["tokens_per_second"] = Double(all) / max(1e-9, slowest)
    for (phase, seconds) in clock.seconds { metrics["time/\(phase)"] = seconds }
  }
}
