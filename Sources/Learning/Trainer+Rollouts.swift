import MPI
import Objectives
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
    var part = RolloutPart()
    var summary = RolloutSummary(first: nextGroup, names: source.rewardNames)
    var kept: [SampledGroup] = []
    let states = curriculum?.states ?? []
    curriculum?.beginRollout()
    for round in 0...(rl.dynamicSampling ? rl.maxResampleTimes : 0) where kept.count < wanted {
      if round > 0, try StopSignal.isRequested(communicator) {
        nextGroup = summary.first
        curriculum?.restore(states)
        return nil
      }
      let numbers = nextGroup..<nextGroup + wanted - kept.count
      try curriculum?.draw(numbers)
      let drawn = try source.sample(ownItems(numbers), policy: oldPolicy, context)
      nextGroup = numbers.upperBound
      part.append(drawn)
      let outcomes = try TrajectoryOutcome.gather(
        drawn.members.map(\.outcome), parts: source.rewardNames.count, communicator)
      let groups = source.groups(numbers, outcomes)
      try curriculum?.record(groups.map(\.passes))
      summary.add(groups.map(\.record))
      kept += groups.filter { $0.head != nil }
    }
    summary.samples = part.samples
    summary.figures = part.figures
    summary.rewardSeconds = part.rewardSeconds
    summary.rewardWaitSeconds = part.rewardWaitSeconds
    let heads = kept.compactMap(\.head)
    let updates = try divided(
      (0..<rl.miniBatches).map { Array(heads[WorkerPool.part($0, of: rl.miniBatches, count: heads.count)]) },
      placed(part, in: kept))
    for _ in 0..<rl.ppoEpochs { waiting += updates }
    return summary
  }

  /// This rank's items of groups: ranks get consecutive items of about equal expected cost, so few ranks share the
  /// prefill of a prompt.
  private func ownItems(_ numbers: Range<Int>) -> [RolloutItem] {
    let (items, costs) = source.items(numbers)
    let ranks = WorkDivision.consecutive(costs, among: communicator.size)
    return zip(items, ranks).filter { $1 == communicator.rank }.map(\.0)
  }

  /// The trajectories of this rank that belong to groups to train on.
  private func placed(_ part: RolloutPart, in groups: [SampledGroup]) -> [PlacedTrajectory] {
    let known = Dictionary(uniqueKeysWithValues: groups.map { ($0.record.number, $0.items) })
    return part.members.compactMap { member in
      let group = member.outcome.number
      return known[group]?.firstIndex(of: member.outcome.index).map {
        PlacedTrajectory(group: group, index: $0, member.trajectory)
      }
    }
  }

  /// The groups of all ranks, divided. Each rank passes complete groups. Collective.
  func divided(_ groups: [TrajectoryGroup]) throws -> [StepGroup] {
    let own = groups.map { StepGroup($0) }
    let heads = try communicator.gather(records: own.map(\.head)).sorted { $0.id < $1.id }
    let placed = own.flatMap { group in
      group.parts.map { PlacedTrajectory(group: group.id, index: $0.index, $0.trajectory) }
    }
    return try divided([heads], placed)[0]
  }

  /// The groups of updates, with the trajectories that this rank trains on. Collective.
  ///
  /// - Parameters:
  ///   - updates: the groups of each update, the same on every rank.
  ///   - placed: the trajectories of the groups that this rank has now.
  private func divided(_ updates: [[StepGroup.Head]], _ placed: [PlacedTrajectory]) throws -> [[StepGroup]] {
    let division = try division(of: updates)
    let own = try communicator.exchange(placed) { division.rank(of: $0) }
    return division.groups(updates, own)
  }

  /// The division of updates among the ranks.
  package func division(of updates: [[StepGroup.Head]]) throws(ObjectiveError) -> StepDivision {
    try StepDivision(
      updates, objective, configuration, isReproducible: learner.reducer.isReproducible, ranks: communicator.size)
  }

  /// Whether the updates since the last rollout reached a multiple of `rl.old_policy_interval`.
  var isPublicationDue: Bool {
    let rl = configuration.rl
    let before = stepCount - rl.ppoEpochs * rl.miniBatches
    return stepCount / rl.oldPolicyInterval != max(0, before) / rl.oldPolicyInterval
  }
}
