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
  package var figures: [RolloutPart.Figure] = []

  package init(first: Int, names: [String]) {
    self.first = first
    self.names = names
  }

  /// Numbers of the groups to train on, ascending.
  var kept: [UInt64] { records.filter { $0.fate == .kept }.map(\.number) }

  /// Adds the records of one round.
  mutating func add(_ new: [RolloutRecord]) {
    records += new
    rounds += 1
  }

  /// Adds rewards, lengths, dropped groups by reason, the ledger and the samples to a report. Collective.
  ///
  /// - Parameter origin: the origin of each group.
  func describe(
    _ report: inout StepReport, _ communicator: Communicator, origin: (Int) -> GroupOrigin
  ) throws(MPIError) {
    var parts = [Double](repeating: 0, count: names.count)
    var applied = [Int](repeating: 0, count: names.count)
    // The completions with a score that each reward could score.
    var possible = [Int](repeating: 0, count: names.count)
    var scored = 0
    var reward = 0.0
    var sources: [String: (reward: Double, scored: Int, groups: Int)] = [:]
    for record in records {
      let origin = origin(Int(record.number))
      for index in origin.rewards { possible[index] += record.scored }
      for (index, part) in record.parts.enumerated() { parts[index] += part }
      for (index, count) in record.applied.enumerated() { applied[index] += count }
      scored += record.scored
      reward += record.reward
      if let source = origin.source {
        let sum = sources[source] ?? (0, 0, 0)
        sources[source] = (sum.reward + record.reward, sum.scored + record.scored, sum.groups + 1)
      }
    }
    for (index, name) in names.enumerated() where applied[index] > 0 {
      report.metrics["rewards/\(name)"] = parts[index] / Double(applied[index])
    }
    for (name, sum) in sources {
      report.metrics["groups/\(name)"] = Double(sum.groups)
      if sum.scored > 0 { report.metrics["reward/\(name)"] = sum.reward / Double(sum.scored) }
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
    for (index, name) in names.enumerated() where applied[index] < possible[index] {
      report.metrics["rewards/\(name)/applies"] = Double(applied[index]) / Double(possible[index])
    }
    report.prompts = PromptLedger(first: first, records)
    report.samples = try firstSamples(communicator)
  }

  /// Number of first samples of a rollout that rank 0 reports, whichever rank sampled them.
  private static let leastSamples = 8

  /// This rank's samples; on rank 0, if it did not sample the first `leastSamples` itself, these instead. Collective.
  private func firstSamples(_ communicator: Communicator) throws(MPIError) -> [CompletionSample] {
    let own = try communicator.broadcast([Int64(samples.count)], from: 0)
    guard communicator.size > 1, own[0] < Self.leastSamples || rounds > 1 else { return samples }
    func isEarlier(_ a: CompletionSample, _ b: CompletionSample) -> Bool {
      (a.trajectory ?? .max) < (b.trajectory ?? .max)
    }
    let first = samples.sorted(by: isEarlier).prefix(Self.leastSamples)
    guard let all = try communicator.gather(records: Array(first), to: 0) else { return samples }
    return Array(all.sorted(by: isEarlier).prefix(Self.leastSamples))
  }

  /// The mean of each metric over all ranks, added in the order of the trajectories.
  private func meanFigures(_ communicator: Communicator) throws(MPIError) -> [String: Double] {
    let all = try communicator.gather(records: figures)
    var sums: [String: (sum: Double, count: Double)] = [:]
    for figure in all.sorted(by: { ($0.group, $0.index ?? 0, $0.name) < ($1.group, $1.index ?? 0, $1.name) }) {
      let entry = sums[figure.name] ?? (0, 0)
      sums[figure.name] = (entry.sum + figure.value, entry.count + 1)
    }
    return sums.mapValues { $0.sum / $0.count }
  }
}

extension StepReport {
  /// Adds times, throughput and the maximum memory of any rank so far. Collective.
  ///
  /// - Parameter tokens: prompt and completion tokens of all ranks that the step trained on, for the throughput.
  mutating func add(_ clock: PhaseClock, tokens: Int, _ communicator: Communicator) throws(MPIError) {
    let slowest = try communicator.allReduce(clock.total, .maximum)
    metrics["step_time"] = slowest
    let peak = ProcessMemory.peakBytes.map(Double.init) ?? .nan
    metrics["memory/peak_bytes"] = try communicator.allReduce(peak, .maximum)
    metrics["tokens_per_second"] = Double(tokens) / max(1e-9, slowest)
    for (phase, seconds) in clock.seconds { metrics["time/\(phase)"] = seconds }
  }
}
