/// Initial weights and checkpoints (the `checkpoint` section).
public struct CheckpointConfiguration: Sendable, Equatable {
  /// The points at which a run that a signal stops can save.
  public enum Stop: String, Sendable, CaseIterable {
    /// After the current step.
    case step
    /// After the current step, or between rollout and update: the checkpoint then holds the rollouts.
    case phase
  }

  /// What a run does if a checkpoint cannot be written.
  public enum Failure: String, Sendable, CaseIterable {
    /// Warns and continues to train; the next checkpoint is the next attempt.
    case `continue`
    /// Ends with exit code 1.
    case stop
  }

  /// Weights to start from: a safetensors file, a checkpoint or a run; nil means random initial weights.
  public var weights: String?
  /// Optimizer steps between checkpoints; 0 saves only if a signal stops the run.
  public var every = 100
  /// Number of checkpoints to keep, in addition to milestones.
  public var keep = 3
  /// Checkpoints at multiples of this step are never deleted; 0 means no milestones.
  public var milestones = 0
  /// Whether a save copies the state first, so that training continues; if false, the optimizer waits for the save.
  public var copy = true
  /// The point at which a run that a signal stops saves.
  public var stop = Stop.step
  /// What the run does if a checkpoint cannot be written.
  public var onError = Failure.continue

  /// The defaults.
  public init() {}
}
