import LowBit

/// The sizes of a Quillan model (the configuration's `model` section); the defaults give 511,500,289 parameters.
///
/// Any `numLayers` goes with any `numMiniMoes`: the mini-MoEs are one council that every layer consults.
/// Shapes below: d = `dim`, T tokens of one sequence.
public struct ModelConfiguration: Sendable, Equatable {
  /// Rows of the embedding and of the tied output head.
  public var vocabSize = 50257
  /// Width d of the residual stream, and the number of latent bits.
  public var dim: Int
  /// Transformer layers: attention, norms and a mini-MoE router each.
  public var numLayers = 6
  /// Attention heads; each has `dim / numHeads` features.
  public var numHeads = 8
  /// Mini-MoEs in the council that all layers share.
  public var numMiniMoes = 32
  /// Mini-MoEs that a token visits in a layer.
  public var miniMoeTopK = 2
  /// Experts of one mini-MoE.
  public var numExpertsPerMini = 8
  /// Experts that a token visits in one mini-MoE.
  public var expertTopK = 2
  /// Hidden width of an expert; 2·dim by default.
  public var expertDim: Int
  /// Longest sequence, prompt and completion together, in tokens.
  public var maxSeqLen = 2048
  /// Weight of the Overseer's output in the residual stream.
  public var overseerScale: Float = 0.1
  /// Weight of the projected reasoning latents in the residual stream.
  public var latentScale: Float = 0.2
  /// Weight of the micro agents' output in their mini-MoE's.
  public var microScale: Float = 0.1
  /// Micro agents of one mini-MoE.
  public var numMicrosPerMini = 325
  /// Micro agents that a token visits in one mini-MoE.
  public var microTopK = 8
  /// Hidden width of a micro agent.
  public var microAgentDim = 16
  /// Hidden width of the Overseer; 4·dim by default.
  public var overseerDim: Int
  /// Hidden width of the denoiser's blocks and of its time embedding; 4·dim by default.
  public var diffusionDim: Int
  /// Blocks of the denoiser.
  public var diffusionBlocks = 3
  /// Noise levels N of the diffusion schedule.
  public var diffusionSteps = 10
  /// Denoiser calls S when latents are sampled; S ≤ N.
  public var diffusionInferenceSteps = 5
  /// Future tokens that a position's target bits sketch.
  public var latentHorizon = 8
  /// Weight ratio of one future token to the one before it, in the sketch.
  public var latentDiscount = 0.8
  /// Base of the rotary embedding's wavelengths.
  public var ropeBase = 10000.0
  /// Added to the mean square inside every RMSNorm.
  public var normEps: Float = 1e-6
  /// Inputs that share one int4 scale; a shorter row is one group.
  public var int4Group = 64
  /// Whether the model has reasoning latents, their denoiser and its loss.
  public var useBitDiffusion = true

  /// The defaults at width `dim`; the hidden widths follow it.
  public init(dim: Int = 512) {
    self.dim = dim
    expertDim = 2 * dim
    overseerDim = 4 * dim
    diffusionDim = 4 * dim
  }

  /// Features of one attention head: dim / numHeads.
  public var headDim: Int { numHeads > 0 ? dim / numHeads : 0 }

  /// Checks each size, then the combinations, given the formats of `precision`.
  ///
  /// - Throws: the first `ConfigurationIssue`, which names the key and the rule.
  public func validate(precision: PrecisionConfiguration = PrecisionConfiguration()) throws(ConfigurationIssue) {
    try validateSizes()
    try validateReals()
    try validateCombinations()
    if precision.usesInt4 { try validateGroups(precision.resolved()) }
  }

  private func validateSizes() throws(ConfigurationIssue) {
    // Limit row lengths so that a dot product of 8-bit codes (127 · 127 · length) fits in 32 bits, and counts so that
    // the number of parameter bytes fits in 64 bits.
    let longestRow = 131_072
    let sizes: [(key: String, value: Int, lowest: Int, highest: Int)] = [
      ("vocab_size", vocabSize, 2, 1 << 24),
      ("dim", dim, 4, longestRow),
      ("num_layers", numLayers, 1, 4096),
      ("num_heads", numHeads, 1, longestRow),
      ("num_mini_moes", numMiniMoes, 1, 4096),
      ("mini_moe_top_k", miniMoeTopK, 1, 4096),
      ("num_experts_per_mini", numExpertsPerMini, 1, 4096),
      ("expert_top_k", expertTopK, 1, 4096),
      ("expert_dim", expertDim, 1, longestRow),
      ("max_seq_len", maxSeqLen, 2, 1 << 24),
      ("num_micros_per_mini", numMicrosPerMini, 1, 65536),
      ("micro_top_k", microTopK, 1, 65536),
      ("micro_agent_dim", microAgentDim, 1, 4096),
      ("overseer_dim", overseerDim, 1, longestRow),
      ("diffusion_dim", diffusionDim, 1, longestRow),
      ("diffusion_blocks", diffusionBlocks, 1, 4096),
      ("diffusion_steps", diffusionSteps, 1, 65536),
      ("diffusion_inference_steps", diffusionInferenceSteps, 1, 65536),
      ("latent_horizon", latentHorizon, 1, 1 << 24),
      ("int4_group", int4Group, 1, longestRow),
    ]
    for size in sizes where size.value < size.lowest || size.value > size.highest {
      throw ConfigurationIssue(
        key: size.key, rule: "must be between \(size.lowest) and \(size.highest), got \(size.value)")
    }
  }

  private func validateReals() throws(ConfigurationIssue) {
    let scales = [
      ("overseer_scale", overseerScale), ("latent_scale", latentScale), ("micro_scale", microScale),
    ]
    for (key, value) in scales where !value.isFinite {
      throw ConfigurationIssue(key: key, rule: "must be a finite number, got \(value)")
    }
    guard normEps > 0, normEps.isFinite else {
      throw ConfigurationIssue(key: "norm_eps", rule: "must be above 0 and finite, got \(normEps)")
    }
    guard ropeBase > 0, ropeBase.isFinite else {
      throw ConfigurationIssue(key: "rope_base", rule: "must be above 0 and finite, got \(ropeBase)")
    }
    guard latentDiscount > 0, latentDiscount <= 1 else {
      throw ConfigurationIssue(key: "latent_discount", rule: "must be above 0 and at most 1, got \(latentDiscount)")
    }
  }

  private func validateCombinations() throws(ConfigurationIssue) {
    guard dim.isMultiple(of: 2) else {
      throw ConfigurationIssue(
        key: "dim", rule: "must be even (the time embedding pairs sines and cosines), got \(dim)")
    }
    guard dim.isMultiple(of: numHeads) else {
      throw ConfigurationIssue(key: "num_heads", rule: "must divide dim: \(dim) is not a multiple of \(numHeads)")
    }
    guard headDim.isMultiple(of: 2) else {
      throw ConfigurationIssue(
        key: "num_heads",
        rule: "must leave an even head size for the rotary embedding: dim \(dim) / num_heads \(numHeads) = \(headDim)")
    }
    let choices = [
      ("mini_moe_top_k", miniMoeTopK, "num_mini_moes", numMiniMoes),
      ("expert_top_k", expertTopK, "num_experts_per_mini", numExpertsPerMini),
      ("micro_top_k", microTopK, "num_micros_per_mini", numMicrosPerMini),
      ("diffusion_inference_steps", diffusionInferenceSteps, "diffusion_steps", diffusionSteps),
    ]
    for (key, value, limitKey, limit) in choices where value > limit {
      throw ConfigurationIssue(key: key, rule: "must be at most \(limitKey) (\(limit)), got \(value)")
    }
  }

  /// A row longer than `int4Group` must be a multiple of it.
  private func validateGroups(_ precision: PrecisionConfiguration) throws(ConfigurationIssue) {
    var rows: [(key: String, length: Int)] = []
    if precision.experts == .int4 { rows += [("dim", dim), ("expert_dim", expertDim)] }
    if precision.agents == .int4 { rows += [("dim", dim), ("micro_agent_dim", microAgentDim)] }
    if precision.overseer == .int4 { rows += [("dim", dim), ("overseer_dim", overseerDim)] }
    if precision.attention == .int4 || precision.head == .int4 { rows += [("dim", dim)] }
    if precision.diffusion == .int4, useBitDiffusion {
      rows += [("dim", dim), ("diffusion_dim", diffusionDim)]
    }
    for row in rows where row.length > int4Group && !row.length.isMultiple(of: int4Group) {
      throw ConfigurationIssue(
        key: row.key,
        rule: "must be a multiple of int4_group (\(int4Group)) or at most that, for int4 rows, got \(row.length)")
    }
  }
}

extension PrecisionConfiguration {
  fileprivate var usesInt4: Bool {
    [overseer, attention, diffusion, experts, agents, head].contains(.int4)
  }
}
