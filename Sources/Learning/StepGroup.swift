import MPI
import Objectives
import Rollouts

/// A group of a step: what every rank knows of all its trajectories, and the trajectories that this rank trains on.
///
/// Advantages and divisors follow from the members, so any rank can train on any trajectory.
package struct StepGroup: Sendable {
  /// The part that every rank knows.
  package struct Head: RankRecord, Equatable {
    /// The global group number.
    package let id: UInt64
    /// All sequences of the group, in order.
    package let members: [Member]

    package init(id: UInt64, members: [Member]) {
      self.id = id
      self.members = members
    }
  }

  /// What the objective and the division of work need of a sequence.
  package struct Member: RankRecord, Equatable {
    /// T, and the number of trained tokens N.
    package let tokens: Int
    package let generated: Int
    package let reward: Double
    /// As in `TrajectoryGroup.owners`.
    package let owner: Int?
    package let isDemonstration: Bool

    package init(tokens: Int, generated: Int, reward: Double, owner: Int? = nil, isDemonstration: Bool = false) {
      self.tokens = tokens
      self.generated = generated
      self.reward = reward
      self.owner = owner
      self.isDemonstration = isDemonstration
    }
  }

  /// A sequence of this rank, and its index in the group.
  package struct Part: Sendable {
    package let index: Int
    package let trajectory: Trajectory
  }

  package let head: Head
  /// This rank's sequences, in order.
  package var parts: [Part]

  package var id: UInt64 { head.id }
  package var members: [Member] { head.members }
  /// Prompt and completion tokens of all sequences.
  package var tokens: Int { members.reduce(0) { $0 + $1.tokens } }

  package init(_ head: Head, parts: [Part] = []) {
    self.head = head
    self.parts = parts
  }

  /// A group of which this rank has all sequences.
  package init(_ group: TrajectoryGroup) {
    precondition(
      group.rewards.count == group.trajectories.count,
      "\(group.rewards.count) rewards for \(group.trajectories.count) trajectories")
    let members = group.trajectories.indices.map { index in
      let trajectory = group.trajectories[index]
      return Member(
        tokens: trajectory.tokens.count, generated: trajectory.logProbabilities.count, reward: group.rewards[index],
        owner: group.owners?[index], isDemonstration: trajectory.isDemonstration)
    }
    self.init(
      Head(id: group.id, members: members),
      parts: group.trajectories.enumerated().map { Part(index: $0, trajectory: $1) })
  }

  /// - Throws: `ObjectiveError` if a reward is not finite.
  func objective(_ configuration: ObjectiveConfiguration, _ counts: BatchCounts) throws(ObjectiveError)
    -> GroupObjective
  {
    let owners = members.compactMap(\.owner)
    return try GroupObjective(
      configuration: configuration, rewards: members.map(\.reward), tokenCounts: members.map(\.generated),
      batch: counts, owners: owners.isEmpty ? nil : owners)
  }
}

extension BatchCounts {
  /// The counts of a step; nil without a group.
  package init?(_ groups: [StepGroup]) {
    guard !groups.isEmpty else { return nil }
    self.init(
      groups: groups.count, generatedTokens: groups.reduce(0) { $0 + $1.members.reduce(0) { $0 + $1.generated } })
  }
}
