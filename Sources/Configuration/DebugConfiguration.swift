/// Checks of the program itself (the `debug` section).
public struct DebugConfiguration: Sendable, Equatable {
  /// Whether a run stops where a rollout's log-probability is not the training forward's, bit for bit.
  public var assertExact = false
  /// Updates with a non-finite loss or gradient to skip before the run stops.
  public var skipNonfinite = 0

  /// Whether collectives, values and replicas are checked and the routing is written (`--debug`).
  public var checks = false
  /// Optimizer steps between comparisons of the replicas; 0: never.
  public var hashEvery = 10
  /// Names of tensors whose first gradient is held against finite differences; `*` stands for any characters.
  public var checkGradients: [String] = []

  /// The defaults.
  public init() {}
}
