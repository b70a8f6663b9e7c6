import Layers
import LowBit
import Parameters
import Tensors

/// Quillan v4.2: an Overseer, bit-level reasoning diffusion, and a council of mini-MoEs that every layer consults.
///
/// An immutable description: sizes, formats, and the parameters of each layer. The numbers are in a `ParameterStore`
/// (fp32 masters) and a `PackedModel` (the weights that products read). Sequences never mix: the division into batches,
/// ranks or micro-batches changes no number.
public struct QuillanModel: Sendable {
  public let configuration: ModelConfiguration
  /// The formats in force.
  public let precision: PrecisionConfiguration
  public let table: ParameterTable
  public let embedding: ParameterID
  public let overseerNorm: RMSNorm
  public let overseer: FeedForward
  /// Nil without `use_bit_diffusion`.
  public let diffusion: ReasoningDiffusion?
  public let layers: [TransformerLayer]
  public let council: Council
  public let finalNorm: RMSNorm
  public let head: LanguageModelHead
  public let valueWeight: ParameterID
  public let valueBias: ParameterID
  /// The parameters that belong to one layer only, for each layer.
  let layerParameters: [[ParameterID]]

  /// - Throws: `ConfigurationIssue` if the sizes do not fit together.
  public init(_ configuration: ModelConfiguration, _ precision: PrecisionConfiguration) throws(ConfigurationIssue) {
    try configuration.validate(precision: precision)
    let precision = precision.resolved()
    let table = ParameterTable(Self.specifications(configuration, precision))
    self.configuration = configuration
    self.precision = precision
    self.table = table
    func linear(_ name: String, bias: Bool = true) -> Linear {
      Linear(weight: table.require("\(name).weight"), bias: bias ? table.require("\(name).bias") : nil)
    }
    func norm(_ name: String) -> RMSNorm {
      RMSNorm(weight: table.require("\(name).weight"), epsilon: configuration.normEps)
    }
    func router(_ name: String, _ count: Int, _ topK: Int) -> Router {
      Router(
        weight: table.require("\(name).weight"), bias: table.require("\(name).bias"), count: count, topK: topK)
    }
    embedding = table.require("embedding.weight")
    overseerNorm = norm("overseer.norm")
    overseer = FeedForward(up: linear("overseer.up"), down: linear("overseer.down"))
    if configuration.useBitDiffusion {
      let time = TimeEmbedding(
        network: FeedForward(up: linear("diffusion.time.up"), down: linear("diffusion.time.down")),
        steps: configuration.diffusionSteps, dim: configuration.dim)
      let blocks = (0..<configuration.diffusionBlocks).map { index in
        let name = "diffusion.blocks.\(index)"
        return Denoiser.Block(
          norm: norm("\(name).norm"), up: linear("\(name).up"), mid: linear("\(name).mid"),
          down: linear("\(name).down"))
      }
      diffusion = ReasoningDiffusion(
        denoiser: Denoiser(
          latentIn: linear("diffusion.latent_in", bias: false), contextNorm: norm("diffusion.context_norm"),
          time: time, blocks: blocks, outNorm: norm("diffusion.out_norm"), out: linear("diffusion.out")),
        latentOut: linear("diffusion.latent_out", bias: false), configuration: configuration)
    } else {
      diffusion = nil
    }
    let rotary = RotaryEmbedding(
      headDim: configuration.headDim, base: configuration.ropeBase, positions: configuration.maxSeqLen)
    layers = (0..<configuration.numLayers).map { index in
      let name = "layers.\(index)"
      return TransformerLayer(
        index: index, attentionNorm: norm("\(name).attention_norm"),
        attention: Attention(
          qkv: linear("\(name).attention.qkv", bias: false), out: linear("\(name).attention.out", bias: false),
          heads: configuration.numHeads, rotary: rotary),
        moeNorm: norm("\(name).moe_norm"),
        router: router("\(name).router", configuration.numMiniMoes, configuration.miniMoeTopK))
    }
    council = Council(
      members: (0..<configuration.numMiniMoes).map { index in
        let name = "mini_moes.\(index)"
        return MiniMoE(
          router: router("\(name).router", configuration.numExpertsPerMini, configuration.expertTopK),
          experts: FeedForward(up: linear("\(name).experts.up"), down: linear("\(name).experts.down")),
          microRouter: router("\(name).micro_router", configuration.numMicrosPerMini, configuration.microTopK),
          agentNorm: table.require("\(name).agents.norm.weight"),
          agents: FeedForward(up: linear("\(name).agents.up"), down: linear("\(name).agents.down")),
          microScale: configuration.microScale, epsilon: configuration.normEps)
      })
    finalNorm = norm("final_norm")
    head = LanguageModelHead(embedding: embedding, vocabulary: configuration.vocabSize)
    valueWeight = table.require("value_head.weight")
    valueBias = table.require("value_head.bias")
    layerParameters = layers.map { layer in
      table.ids.filter { table[$0].owner == .layer(layer.index) }
    }
  }

  /// All tensors, approximately in the order in which a backward pass finishes their gradients: layers from last to
  /// first, the other replicated tensors, then the council, whose products wait for the rows of all layers.
  public var gradientOrder: [ParameterID] {
    let layers = layerParameters.reversed().joined()
    let council = table.ids.filter { table[$0].miniMoE != nil }
    return layers + Set(table.ids).subtracting(layers).subtracting(council).sorted { $0.index < $1.index } + council
  }

  /// Masters at their initial values: the tensors `held`, or all if nil.
  public func initialParameters(seed: UInt64, holding held: [ParameterID]? = nil, pool: WorkerPool) -> ParameterStore {
    let store = ParameterStore(table, holding: held ?? table.ids)
    store.initialize(seed: seed, pool: pool)
    return store
  }

  /// An empty packed form of this model: the tensors `held`, or all if nil.
  public func makePackedModel(holding held: [ParameterID]? = nil) -> PackedModel {
    PackedModel(table, holding: held, int4Group: configuration.int4Group, derivedCount: derivedCount)
  }

  /// Number of values that are computed from the weights once per packing (the denoiser's time table).
  public var derivedCount: Int { diffusion?.denoiser.time.count ?? 0 }

  /// Recomputes the derived values. Call after packed weights were filled by anything but `pack`.
  public func refresh(_ weights: PackedModel, _ context: Context) {
    diffusion?.denoiser.time.refresh(ForwardLane(weights, context.main))
  }

  /// Packs `masters` and recomputes the derived values.
  public func pack(_ masters: ParameterStore, into weights: PackedModel, _ context: Context) {
    weights.pack(masters, pool: context.pool)
    refresh(weights, context)
  }

  /// Empty routing counters of this model's shape.
  public func makeLoads() -> RoutingLoads {
    RoutingLoads(
      layers: configuration.numLayers, miniMoEs: configuration.numMiniMoes,
      experts: configuration.numExpertsPerMini, micros: configuration.numMicrosPerMini)
  }

  /// Memory for the key-value caches of sequences.
  public func makeKeyValueBlocks() -> KeyValueBlocks {
    KeyValueBlocks(
      layers: configuration.numLayers, heads: configuration.numHeads, headDim: configuration.headDim)
  }

  /// Bytes of the packed latents of one position.
  public var latentBytes: Int { (configuration.dim + 7) / 8 }
}
