import Optimizers

/// AdamW (the `optimizer` section).
public struct OptimizerConfiguration: Sendable, Equatable {
  /// Storage format of the moments.
  public var state = MomentFormat.fp32
  /// Whether ranks that hold the same parameters divide the moments and the update among themselves.
  public var shard = false
  /// Decay of the first moment.
  public var beta1 = 0.9
  /// Decay of the second moment.
  public var beta2 = 0.999
  /// Added to the square root of the second moment.
  public var epsilon = 1e-8

  /// The defaults.
  public init() {}
}
