/// Checks that the program makes of itself (the `debug` section).
public struct DebugConfiguration: Sendable, Equatable {
  /// Whether the run stops if a log-probability of a rollout differs in any bit from that of the training forward pass.
  public var assertExact = false
  /// Number of updates with a non-finite loss or gradient that are skipped before the run stops.
  public var skipNonfinite = 0

  /// Debug mode (`--debug`): whether to check collectives, values and replicas, and to write the routing.
  public var checks = false
  /// Optimizer steps between comparisons of the replicas; 0 means never.
  public var hashEvery = 10
  /// Names of tensors whose gradient in the first step is compared with finite differences; `*` matches any characters.
  public var checkGradients: [String] = []

  /// The defaults.
  public init() {}
}
