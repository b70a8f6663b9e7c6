import Rollouts

/// Complete groups that this rank sampled and scored.
public struct RolloutBatch: Sendable {
  /// The groups to train on, in order of their numbers, without unscored trajectories.
  public let groups: [TrajectoryGroup]
  public let samples: [CompletionSample]

  /// - Parameter part: all items of the groups.
  init(_ part: RolloutPart, _ sampled: [SampledGroup]) {
    let members = Dictionary(grouping: part.members) { $0.outcome.number }
    groups = sampled.compactMap { group in
      guard let head = group.head else { return nil }
      let own = members[head.id] ?? []
      let owners = head.members.compactMap(\.owner)
      return TrajectoryGroup(
        id: head.id,
        trajectories: group.items.compactMap { item in own.first { $0.outcome.index == item }?.trajectory },
        rewards: head.members.map(\.reward), owners: owners.isEmpty ? nil : owners)
    }
    samples = part.samples
  }
}
