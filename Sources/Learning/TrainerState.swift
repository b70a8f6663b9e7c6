/// What a trainer carries from step to step besides weights, optimizer state and π_old: plain numbers, the same on every
/// rank and for any number of ranks.
///
/// Prompts need no more than `nextGroup`: prompt, trajectory ids, and so all random numbers, follow from a group's number.
/// It is complete between rollouts (`Trainer.isBetweenRollouts`).
public struct TrainerState: Sendable, Equatable, Codable {
  /// Optimizer steps done, skipped updates included.
  public var steps = 0
  /// The number of the next group to draw: the data cursor.
  public var nextGroup = 0
  /// Updates skipped because they were not finite.
  public var skippedUpdates = 0
  /// Updates that moved nothing because no group had anything to teach.
  public var idleUpdates = 0
  /// Updates since π_old was published.
  public var updatesSincePublication = 0
  /// The weight of the entropy bonus, which `rl.entropy_target` moves.
  public var entropyCoef = 0.0

  public init() {}
}
