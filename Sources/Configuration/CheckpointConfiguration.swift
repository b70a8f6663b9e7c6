/// What a run starts from and what it saves on the way (the `checkpoint` section).
public struct CheckpointConfiguration: Sendable, Equatable {
  /// Where a run that is asked to stop saves.
  public enum Stop: String, Sendable, CaseIterable {
    /// After the step under way.
    case step
    /// Also between rollout and update, with the rollouts in flight.
    case phase
  }

  /// What a run does where a checkpoint cannot be written.
  public enum Failure: String, Sendable, CaseIterable {
    /// Warns and trains on; the next checkpoint is another try.
    case `continue`
    /// Ends with exit code 1.
    case stop
  }

  /// Weights to start from: a safetensors file or a checkpoint's directory; nil starts from initial weights.
  public var weights: String?
  /// Optimizer steps between checkpoints; 0: only where the run is stopped by a signal.
  public var every = 100
  /// Checkpoints kept, milestones not counted.
  public var keep = 3
  /// Checkpoints of steps that this divides are kept for ever; 0: none are.
  public var milestones = 0
  /// Whether the state is copied and saved while training goes on, or read in place while the optimizer waits.
  public var copy = true
  /// Where a run that is asked to stop saves.
  public var stop = Stop.step
  /// What happens where a checkpoint cannot be written.
  public var onError = Failure.continue

  /// The defaults.
  public init() {}
}
