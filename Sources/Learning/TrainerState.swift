/// The state of a trainer between steps, in addition to weights, optimizer state and π_old: plain numbers, equal on
/// every rank and for any number of ranks.
///
/// Prompts need only `nextGroup`, because prompt, trajectory ids and all random numbers follow from the number of a
/// group. The state is complete between rollouts (`Trainer.isBetweenRollouts`).
public struct TrainerState: Sendable, Equatable, Codable {
  /// Number of completed optimizer steps, including steps with a skipped update.
  public var steps = 0
  /// The number of the next group to draw: the data cursor.
  public var nextGroup = 0
  /// Number of updates skipped because a loss or gradient was not finite.
  public var skippedUpdates = 0
  /// Number of steps without an update because no group had an advantage.
  public var idleUpdates = 0
  /// Number of updates since the publication of π_old.
  public var updatesSincePublication = 0
  /// The weight of the entropy bonus; changes if `rl.entropy_target` is set.
  public var entropyCoef = 0.0
  /// The factor of the learning rate if `rl.target_kl` is set.
  public var rateScale = 1.0
  /// The state of the guard if `rl.guard` is set.
  package var best = PolicyGuard.State()

  public init() {}
}
