/// Checks of the program itself (the `debug` section).
public struct DebugConfiguration: Sendable, Equatable {
  /// Whether a run stops where a rollout's log-probability is not the training forward's, bit for bit.
  public var assertExact = false
  /// Updates with a non-finite loss or gradient to skip before the run stops.
  public var skipNonfinite = 0

  /// The defaults.
  public init() {}
}
