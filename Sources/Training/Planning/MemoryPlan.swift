import Checkpoints
import LowBit
import Models
import Optimizers
import Rollouts

/// The memory of one rank while it trains, in bytes.
public struct MemoryPlan: Sendable {
  /// One use of memory.
  public struct Row: Sendable, Equatable {
    public let name: String
    public let bytes: Int
    /// Whether the bytes follow from the sizes alone, or are estimated from what a pass keeps.
    public let isEstimate: Bool
  }

  /// The uses, largest buffers first as training makes them.
  public let rows: [Row]
  /// Sequences of one rank in an optimizer step.
  public let sequences: Int
  /// Tokens of one rank's largest micro-batch.
  public let microBatchTokens: Int

  /// All rows together.
  public var total: Int { rows.reduce(0) { Self.sum($0, $1.bytes) } }

  /// Plans a rank of `ranks` that train `configuration`, with prompts of `promptLength` tokens. Sizes beyond 63 bits are
  /// given as the largest number.
  public init(_ configuration: RunConfiguration, _ parameters: ParameterPlan, ranks: Int, promptLength: Int) {
    precondition(ranks > 0 && promptLength > 0, "\(ranks) ranks, prompts of \(promptLength) tokens")
    let model = configuration.model
    let length = promptLength + configuration.objective.maxTrajectoryLen
    let groups = (configuration.rl.batchSize + ranks - 1) / ranks
    sequences = Self.product(groups, configuration.rl.numTrajectories)
    microBatchTokens = MicroBatches.largest(sequences: sequences, length: length, configuration)
    // What a rank holds: the replicated tensors, and its part of the council.
    let expert = max(1, configuration.parallel.expert)
    let replicated = parameters.storeCount - parameters.councilStoreCount
    let council = parameters.councilStoreCount / expert
    let store = Self.product(4, replicated + council)
    let moments =
      configuration.optimizer.shard ? replicated / ranks + council / max(1, ranks / expert) : replicated + council
    let format = configuration.optimizer.state
    let whole = parameters.total.packedBytes + 4 * parameters.balanceBiases
    let councilPacked = parameters.components.first { $0.component == "mini_moes" }?.packedBytes ?? 0
    let packed = whole - councilPacked + councilPacked / expert
    var rows = [
      Row(name: "master weights, fp32", bytes: store, isEstimate: false),
      Row(name: "gradients, fp32", bytes: store, isEstimate: false),
      Row(
        name: "AdamW moments, \(format.rawValue)", bytes: Self.product(2, Self.moment(moments, format)),
        isEstimate: false),
    ]
    if configuration.parallel.reproducible {
      rows.append(Row(name: "gradient sums, 64-bit fixed point", bytes: Self.product(2, store), isEstimate: false))
      if expert > 1 {
        // Units must not mix: what each other rank of the group sends adds to gradients of its own, but for stacks.
        let stacks = configuration.rl.useMixedPrecision ? parameters.stackStoreCount / expert : 0
        rows.append(
          Row(
            name: "gradients of the group's other units", bytes: Self.product(4 * (expert - 1), council - stacks),
            isEstimate: false))
      }
    }
    rows.append(Row(name: "packed weights in training", bytes: packed, isEstimate: false))
    if configuration.rl.oldPolicyInterval > 1 || expert > 1 {
      rows.append(Row(name: "packed weights of the old policy", bytes: whole, isEstimate: false))
    }
    if configuration.objective.klCoef != 0 {
      rows.append(Row(name: "packed weights of the frozen reference", bytes: whole, isEstimate: false))
    }
    let positions = (length + 15) / 16 * 16
    let wave = Self.wave(Self.product(groups, configuration.rl.miniBatches), configuration.rl.numTrajectories)
    rows.append(
      Row(
        name: "key-value cache of \(wave) sequences",
        bytes: Self.product(8 * model.numLayers * model.dim, Self.product(positions, wave)), isEstimate: true))
    let perToken = Self.activationBytes(
      model, configuration.formats, recomputed: configuration.rl.gradientCheckpointing)
    rows.append(
      Row(
        name: "activations of \(microBatchTokens) tokens", bytes: Self.product(microBatchTokens, perToken),
        isEstimate: true))
    if configuration.rl.useMixedPrecision {
      rows.append(
        Row(
          name: "operands of weight gradients",
          bytes: Self.product(microBatchTokens, Self.ledgerBytes(model, configuration.formats)), isEstimate: true))
    }
    if configuration.checkpoint.copy {
      // Rank 0 writes all that is replicated, and its file of mini-MoEs.
      let files = Placement.expertFiles(ranks: ranks, expertParallel: expert, miniMoEs: model.numMiniMoes)
      let stored = replicated + parameters.councilStoreCount / files
      let copied = configuration.optimizer.shard ? moments : stored
      let policies =
        (configuration.rl.oldPolicyInterval > 1 ? whole : 0) + (configuration.objective.klCoef != 0 ? whole : 0)
      rows.append(
        Row(
          name: "checkpoint copy on rank 0",
          bytes: Self.sum(Self.product(4, stored), Self.sum(Self.product(2, Self.moment(copied, format)), policies)),
          isEstimate: false))
    }
    self.rows = rows
  }

  /// Bytes of one moment of `elements` values.
  private static func moment(_ elements: Int, _ format: MomentFormat) -> Int {
    format == .fp32 ? product(4, elements) : MomentFormat.int8.bytes(elements)
  }

  /// Sequences that the sampler decodes together: whole groups, as many as its batch takes.
  static func wave(_ groups: Int, _ trajectories: Int) -> Int {
    let together = max(1, Sampler.standardBatch / max(1, trajectories))
    return product(min(groups, together), trajectories)
  }

  /// The product, or the largest number where that is beyond it.
  static func product(_ a: Int, _ b: Int) -> Int {
    let (result, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? .max : result
  }

  private static func sum(_ a: Int, _ b: Int) -> Int {
    let (result, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : result
  }

  /// Bytes that one token keeps for the products of weight gradients: rows of dY in bfloat16 with their padding, and copies
  /// of the inputs, of every expert and micro agent that it visits.
  static func ledgerBytes(_ model: ModelConfiguration, _ formats: PrecisionConfiguration) -> Int {
    func operand(_ outputs: Int, _ inputs: Int, _ format: NumberFormat) -> Int {
      2 * ((outputs + 15) / 16 * 16 + 16) + (format.isInteger ? inputs + 4 : (format == .bf16 ? 2 : 4) * inputs)
    }
    let (d, hidden, small) = (model.dim, model.expertDim, model.microAgentDim)
    let expert = operand(hidden, d, formats.experts) + operand(d, hidden, formats.experts)
    let agent = operand(small, d, formats.agents) + operand(d, small, formats.agents)
    return model.numLayers * model.miniMoeTopK * (model.expertTopK * expert + model.microTopK * agent)
  }

  /// Bytes that one token keeps between its forward and backward pass: what the layers save, in fp32 but for A8 codes.
  static func activationBytes(_ model: ModelConfiguration, _ formats: PrecisionConfiguration, recomputed: Bool) -> Int {
    let d = model.dim
    /// Kept inputs of a product: codes, rounded copies, or nothing besides the values themselves.
    func input(_ format: NumberFormat, _ columns: Int) -> Int {
      if format.isInteger { return columns + 4 }
      return format == .bf16 ? 4 * columns : 0
    }
    let attention =
      4 * (2 * d + 3 * d + d) + 8 * model.numHeads + input(formats.attention, d) + input(formats.attention, d)
    let expert = 8 * model.expertDim + input(formats.experts, d) + input(formats.experts, model.expertDim)
    let agent =
      8 * model.microAgentDim + input(formats.agents, d) + input(formats.agents, model.microAgentDim)
      + (formats.agents.isInteger ? 0 : 4 * d)
    let routing = 4 * (model.numMiniMoes + model.miniMoeTopK * (model.numExpertsPerMini + model.numMicrosPerMini))
    let council =
      model.miniMoeTopK * (4 * 4 * d + model.expertTopK * expert + model.microTopK * agent) + 4 * 2 * d + routing
    let layer = attention + council
    let outside =
      4 * 8 * d + 8 * model.overseerDim + input(formats.overseer, d) + input(formats.overseer, model.overseerDim)
    let denoiser =
      model.useBitDiffusion
      ? model.diffusionBlocks * (4 * 2 * d + 16 * model.diffusionDim + 2 * input(formats.diffusion, model.diffusionDim))
        + 4 * 6 * d : 0
    return recomputed
      ? 4 * d * (model.numLayers + 1) + layer + outside + denoiser
      : model.numLayers * (layer + 4 * d) + outside + denoiser
  }
}
