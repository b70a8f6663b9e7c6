/// How ranks and threads share the work (the `parallel` section).
public struct ParallelConfiguration: Sendable, Equatable {
  /// Threads of one rank; 0 means the node's cores divided by its ranks.
  public var threads = 0
  /// Ranks of an expert group, P: each owns 1/P of the mini-MoEs.
  public var expert = 1
  /// Whether gradients are summed in fixed point, so that the weights do not depend on the layout.
  public var reproducible = false
  /// Seconds that a rank waits for the others before it stops the run.
  public var timeout = 300

  /// The defaults.
  public init() {}
}
