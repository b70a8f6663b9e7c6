import LowBit

/// The number format of each component's linear layers (the configuration's `precision` section).
///
/// Norms, routers, the diffusion's time embedding and the value head are fp32 always and have no entry.
public struct PrecisionConfiguration: Sendable, Equatable {
  /// The Overseer's two matrices.
  public var overseer: NumberFormat = .fp16
  /// Attention's `qkv` and `out` matrices.
  public var attention: NumberFormat = .ternary
  /// The denoiser's `latent_in`, blocks and `out`, and the trunk's `latent_out`.
  public var diffusion: NumberFormat = .ternary
  /// The mini-MoEs' expert matrices.
  public var experts: NumberFormat = .int4
  /// The micro agents' matrices.
  public var agents: NumberFormat = .int8
  /// The embedding table, which is also the output head (tied weights).
  public var head: NumberFormat = .bf16
  /// Whether ternary components (BitNet b1.58) are ternary; `false` makes every one of them fp32.
  public var useBitnet = true
  /// The order of the sums of bfloat16 products: of `bf16` components, and of all gradients with mixed precision.
  public var bf16Sums = BFloat16Sums.auto

  /// The defaults of the 511M model.
  public init() {}

  /// The formats in force: with `useBitnet` false, every ternary component becomes fp32.
  public func resolved() -> PrecisionConfiguration {
    guard !useBitnet else { return self }
    func effective(_ format: NumberFormat) -> NumberFormat { format == .ternary ? .fp32 : format }
    var result = self
    result.overseer = effective(overseer)
    result.attention = effective(attention)
    result.diffusion = effective(diffusion)
    result.experts = effective(experts)
    result.agents = effective(agents)
    result.head = effective(head)
    return result
  }
}
