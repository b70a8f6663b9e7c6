import Parallelism
import Rollouts
import Tensors

extension Trainer {
  /// Draws groups until `rl.batch_size` · `rl.mini_batches` of them can be used for training. Collective.
  ///
  /// With `rl.dynamic_sampling`, the next prompts replace dropped groups up to `rl.max_resample_times` times; training
  /// uses the groups that remain. Every rank knows the outcome of every group, so the prompts drawn do not depend on
  /// the number of ranks.
  ///
  /// - Returns: nil if the run is asked to stop during such replacements, which can take long. The step then counts as
  ///   not begun.
  func collectRollouts() throws -> RolloutSummary? {
    let rl = configuration.rl
    let wanted = rl.batchSize * rl.miniBatches
    var batch = RolloutBatch()
    var summary = RolloutSummary(first: nextGroup, names: source.rewardNames)
    for round in 0...(rl.dynamicSampling ? rl.maxResampleTimes : 0) where summary.kept.count < wanted {
      if round > 0, try StopSignal.isRequested(communicator) {
        nextGroup = summary.first
        return nil
      }
      let numbers = nextGroup..<nextGroup + wanted - summary.kept.count
      let drawn = try source.groups(ownNumbers(numbers), policy: oldPolicy, context)
      nextGroup = numbers.upperBound
      batch.append(drawn)
      try summary.add(drawn.records, communicator)
    }
    summary.samples = batch.samples
    summary.figures = batch.figures
    summary.rewardSeconds = batch.rewardSeconds
    summary.rewardWaitSeconds = batch.rewardWaitSeconds
    for _ in 0..<rl.ppoEpochs {
      for part in 0..<rl.miniBatches {
        let members = Set(summary.kept[WorkerPool.part(part, of: rl.miniBatches, count: summary.kept.count)])
        waiting.append(batch.groups.filter { members.contains($0.id) })
      }
    }
    return summary
  }

  /// This rank's share of the groups: a contiguous part of each mini-batch.
  func ownNumbers(_ numbers: Range<Int>) -> [Int] {
    let parts = configuration.rl.miniBatches
    return (0..<parts).flatMap { part in
      let batch = WorkerPool.part(part, of: parts, count: numbers.count)
      return Share(of: batch.count, rank: communicator.rank, size: communicator.size).range.map {
        numbers.lowerBound + batch.lowerBound + $0
      }
    }
  }

  /// Whether the updates since the last rollout reached a multiple of `rl.old_policy_interval`.
  var isPublicationDue: Bool {
    let rl = configuration.rl
    let before = stepCount - rl.ppoEpochs * rl.miniBatches
    return stepCount / rl.oldPolicyInterval != max(0, before) / rl.oldPolicyInterval
  }
}
