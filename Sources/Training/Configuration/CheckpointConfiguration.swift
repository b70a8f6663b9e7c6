/// What a run starts from (the `checkpoint` section).
public struct CheckpointConfiguration: Sendable, Equatable {
  /// A safetensors file of weights to start from; nil starts from initial weights.
  public var weights: String?

  /// The defaults.
  public init() {}
}
