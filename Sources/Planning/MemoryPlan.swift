import Checkpoints
import Configuration
import Learning
import LowBit
import Models
import Optimizers
import Rollouts

/// The memory of one rank during training, in bytes.
public struct MemoryPlan: Sendable {
  /// One use of memory.
  public struct Row: Sendable, Equatable {
    public let name: String
    public let bytes: Int
    /// Whether the bytes are an estimate of what a pass keeps, instead of exact from the sizes.
    public let isEstimate: Bool
    package let use: Use

    fileprivate init(name: String, bytes: Int, isEstimate: Bool, use: Use = .model) {
      self.name = name
      self.bytes = bytes
      self.isEstimate = isEstimate
      self.use = use
    }
  }

  /// The settings that a row depends on.
  package enum Use: Sendable { case model, activations, sampling, firstRank }

  /// The uses of memory.
  public let rows: [Row]
  /// Maximum sequences of one rank in an optimizer step.
  public let sequences: Int
  /// Tokens of the largest micro-batch of a rank.
  public let microBatchTokens: Int
  /// Memory of a process before it has a model: the program, libraries, threads and MPI buffers.
  public static let programBytes = 44 << 20

  /// The sum of all rows.
  public var total: Int { rows.reduce(0) { Saturating.sum($0, $1.bytes) } }
  /// The rows that only rank 0 needs.
  package var firstRankBytes: Int { rows.reduce(0) { $1.use == .firstRank ? Saturating.sum($0, $1.bytes) : $0 } }

  /// Plans one of `ranks` ranks for prompts of `promptLength` tokens. Sizes saturate at `Int.max`.
  ///
  /// - Parameter phase: `.train`, or `.pretrain`: on text if the configuration has one, otherwise on demonstrations.
  public init(
    _ configuration: RunConfiguration, _ parameters: ParameterPlan, ranks: Int, promptLength: Int,
    phase: RunPhase = .train
  ) {
    precondition(ranks > 0 && promptLength > 0, "\(ranks) ranks, prompts of \(promptLength) tokens")
    let model = configuration.model
    let rl = configuration.rl
    let generated = configuration.objective.maxTrajectoryLen
    let isTrain = phase == .train
    let isText = phase == .pretrain && configuration.data.text != nil
    let length =
      isText ? min(configuration.pretrain.sequenceLength, model.maxSeqLen) : Saturating.sum(promptLength, generated)
    let trajectories = Saturating.product(rl.batchSize, rl.numTrajectories)
    sequences = ((isTrain ? trajectories : configuration.pretrain.batchSize) - 1) / ranks + 1
    microBatchTokens = MicroBatches.largest(
      sequences: sequences, length: length,
      unit: isTrain ? MicroBatches.unitSequences(rl.numTrajectories, length: length) : Pretrainer.unit, configuration)
    // A rank holds the replicated tensors and 1/P of the council.
    let expert = max(1, configuration.parallel.expert)
    let replicated = parameters.storeCount - parameters.councilStoreCount
    let council = parameters.councilStoreCount / expert
    let store = Saturating.product(4, replicated + council)
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
        name: "AdamW moments, \(format.rawValue)", bytes: Saturating.product(2, Self.moment(moments, format)),
        isEstimate: false),
    ]
    let average = isTrain && rl.emaDecay > 0 ? store : 0
    let best = isTrain && rl.guardFall > 0 ? store : 0
    if average > 0 { rows.append(Row(name: "moving average of the weights, fp32", bytes: average, isEstimate: false)) }
    if best > 0 { rows.append(Row(name: "best weights, fp32", bytes: best, isEstimate: false)) }
    if configuration.parallel.reproducible {
      rows.append(
        Row(name: "gradient sums, 64-bit fixed point", bytes: Saturating.product(2, store), isEstimate: false))
      if expert > 1 {
        // Reduction units must not mix, so the tokens of each other rank of the group need gradients of their own. Only
        // stacks do without.
        let stacks = configuration.rl.useMixedPrecision ? parameters.stackStoreCount / expert : 0
        rows.append(
          Row(
            name: "gradients of the group's other units", bytes: Saturating.product(4 * (expert - 1), council - stacks),
            isEstimate: false))
      }
    }
    rows.append(Row(name: "packed weights in training", bytes: packed, isEstimate: false))
    if isTrain && rl.oldPolicyInterval > 1 || expert > 1 {
      rows.append(Row(name: "packed weights of the old policy", bytes: whole, isEstimate: false))
    }
    if isTrain, configuration.objective.klCoef != 0 {
      rows.append(Row(name: "packed weights of the frozen reference", bytes: whole, isEstimate: false))
    }
    let perToken = Self.activationBytes(model, configuration.formats, layers: rl.gradientCheckpointing ? 1 : nil)
    let kept = Saturating.product(microBatchTokens, perToken)
    if !isText {
      // Rollouts, and evaluations before the first and after the last step.
      let evaluated = (configuration.evaluation.count - 1) / ranks + 1
      let answers = Saturating.product(evaluated, max(1, configuration.evaluation.samples))
      var batch = min(answers, DecodingBatch.evaluation(configuration, ranks: ranks))
      var prompts = min(batch, evaluated)
      if isTrain {
        batch = max(batch, DecodingBatch.rollout(configuration, ranks: ranks))
        // Sequences of any prompt may be left at the end of a rollout.
        prompts = min(batch, max(prompts, Saturating.product(rl.batchSize, rl.miniBatches)))
      }
      rows.append(
        Row(
          name: "key-value cache of \(batch) sequences",
          bytes: DecodingBatch.cacheBytes(
            model, promptLength: promptLength, generated: generated, sequences: batch, prompts: prompts),
          isEstimate: true, use: .sampling))
      // A pass of all sequences with logits, and of prompts. It reuses the memory of training activations.
      let perToken = Self.activationBytes(model, configuration.formats, layers: 0)
      let read = min(Sampler.promptTokens, Saturating.product(prompts, promptLength))
      let drawing = Saturating.sum(
        Saturating.product(batch + read, perToken), Saturating.product(batch, 4 * model.vocabSize))
      if drawing > kept {
        rows.append(
          Row(name: "sampling, beyond activations", bytes: drawing - kept, isEstimate: true, use: .sampling))
      }
    }
    rows.append(
      Row(name: "activations of \(microBatchTokens) tokens", bytes: kept, isEstimate: true, use: .activations))
    if configuration.rl.useMixedPrecision {
      rows.append(
        Row(
          name: "operands of weight gradients",
          bytes: Saturating.product(microBatchTokens, Self.ledgerBytes(model, configuration.formats)), isEstimate: true,
          use: .activations))
    }
    if configuration.checkpoint.copy {
      // Rank 0 writes all replicated tensors and its file of mini-MoEs.
      let files = Placement.expertFiles(ranks: ranks, expertParallel: expert, miniMoEs: model.numMiniMoes)
      let stored = replicated + parameters.councilStoreCount / files
      let copied = configuration.optimizer.shard ? moments : stored
      let averages = Saturating.product(4, Saturating.product((average > 0 ? 1 : 0) + (best > 0 ? 1 : 0), stored))
      let policies =
        isTrain ? (rl.oldPolicyInterval > 1 ? whole : 0) + (configuration.objective.klCoef != 0 ? whole : 0) : 0
      rows.append(
        Row(
          name: "checkpoint copy on rank 0",
          bytes: Saturating.sum(
            Saturating.product(4, stored),
            Saturating.sum(Saturating.product(2, Self.moment(copied, format)), Saturating.sum(policies, averages))),
          isEstimate: false, use: .firstRank))
    }
    rows.append(Row(name: "program and libraries", bytes: Self.programBytes, isEstimate: true))
    self.rows = rows
  }

  /// Bytes of one moment of `elements` values.
  private static func moment(_ elements: Int, _ format: MomentFormat) -> Int {
    format == .fp32 ? Saturating.product(4, elements) : MomentFormat.int8.bytes(elements)
  }

  /// Bytes that one token keeps for weight-gradient products: for every expert and micro agent that the token visits, a
  /// padded bfloat16 row of dY and a copy of the inputs.
  static func ledgerBytes(_ model: ModelConfiguration, _ formats: PrecisionConfiguration) -> Int {
    func operand(_ outputs: Int, _ inputs: Int, _ format: NumberFormat) -> Int {
      2 * ((outputs + 15) / 16 * 16 + 16) + (format.isInteger ? inputs + 4 : (format == .bf16 ? 2 : 4) * inputs)
    }
    let (d, hidden, small) = (model.dim, model.expertDim, model.microAgentDim)
    let expert = operand(hidden, d, formats.experts) + operand(d, hidden, formats.experts)
    let agent = operand(small, d, formats.agents) + operand(d, small, formats.agents)
    return model.numLayers * model.miniMoeTopK * (model.expertTopK * expert + model.microTopK * agent)
  }

  /// Bytes that one token keeps between forward and backward pass, in fp32 except for A8 codes.
  ///
  /// - Parameter layers: the number of layers that keep all activations, in addition to the inputs of all layers; nil means
  ///   all layers. With 0, nothing is kept except the working memory of a pass.
  static func activationBytes(_ model: ModelConfiguration, _ formats: PrecisionConfiguration, layers: Int?) -> Int {
    let d = model.dim
    /// Bytes kept for the inputs of a product: codes, rounded copies, or nothing in addition to the values.
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
    switch layers {
    case nil: return model.numLayers * (layer + 4 * d) + outside + denoiser
    case 0: return 4 * 2 * d + layer + outside + denoiser
    case let layers?: return 4 * d * (model.numLayers + 1) + layers * layer + outside + denoiser
    }
  }
}
