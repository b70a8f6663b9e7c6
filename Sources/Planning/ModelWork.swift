import Configuration
import Foundation
import LowBit
import Models

/// The arithmetic of a token, counted in multiplications with addition of bfloat16.
///
/// One of another format counts by the time that it takes on a core with AVX-512 (<doc:Benchmarks>): fp32 and fp16 2,
/// ternary, int4 and int8 0.55, attention's own products (fp32, short rows) 3. Routers are fp32; norms and activations
/// are left out.
public struct ModelWork: Sendable, Equatable {
  /// Of a forward pass, without head and latents' sampling, per token.
  public let forward: Double
  /// Of a backward pass: two products for each of the forward pass.
  public let backward: Double
  /// Of one call of the denoiser, per token.
  public let denoiser: Double
  /// Of the head, per predicted token.
  public let head: Double
  /// Of the head's backward pass, per predicted token.
  public let headBackward: Double
  /// Calls of the denoiser that sample a latent; 0 without diffusion.
  public let denoiserCalls: Int

  static func cost(_ format: NumberFormat) -> Double {
    switch format {
    case .fp32, .fp16: 2
    case .bf16: 1
    case .ternary, .int4, .int8: 0.55
    }
  }

  private static let attentionCost = 3.0

  /// - Parameter positions: that a token attends to, on average.
  public init(_ configuration: RunConfiguration, positions: Double) {
    let (model, formats) = (configuration.model, configuration.formats)
    let d = Double(model.dim)
    // Products of matrices by format, and attention's.
    var products: [(count: Double, format: NumberFormat)] = []
    let layers = Double(model.numLayers)
    let visits = layers * Double(model.miniMoeTopK)
    products.append((layers * 4 * d * d, formats.attention))
    products.append((layers * Double(model.numMiniMoes) * d, .fp32))
    products.append((visits * Double(model.expertTopK) * 2 * d * Double(model.expertDim), formats.experts))
    products.append((visits * Double(model.microTopK) * 2 * d * Double(model.microAgentDim), formats.agents))
    products.append((visits * Double(model.numExpertsPerMini + model.numMicrosPerMini) * d, .fp32))
    products.append((2 * d * Double(model.overseerDim), formats.overseer))
    if model.useBitDiffusion { products.append((d * d, formats.diffusion)) }
    let attention = layers * 2 * positions * d
    let hidden = Double(model.diffusionDim)
    let denoiserProducts =
      model.useBitDiffusion ? 2 * d * d + Double(model.diffusionBlocks) * (2 * d * hidden + hidden * hidden) : 0
    let gradient = configuration.rl.useMixedPrecision ? Self.cost(.bf16) : Self.cost(.fp32)

    denoiser = denoiserProducts * Self.cost(formats.diffusion)
    denoiserCalls = model.useBitDiffusion ? model.diffusionInferenceSteps : 0
    forward = products.reduce(Self.attentionCost * attention) { $0 + $1.count * Self.cost($1.format) }
    backward =
      2 * (gradient * (products.reduce(0) { $0 + $1.count } + denoiserProducts) + Self.attentionCost * attention)
    head = d * Double(model.vocabSize) * Self.cost(formats.head)
    headBackward = 2 * d * Double(model.vocabSize) * gradient
  }

  /// Of training on a token of which `predicted` (0 … 1) is a predicted one: forward with the denoiser's loss, head,
  /// backward, and the forward pass again where layers are recomputed.
  public func training(predicted: Double, recomputed: Bool) -> Double {
    (recomputed ? 2 : 1) * forward + denoiser + backward + predicted * (head + headBackward)
  }

  /// Of reading a token of a prompt, with its latents.
  public var reading: Double { forward + Double(denoiserCalls) * denoiser }

  /// Of sampling a token.
  public var sampling: Double { reading + head }
}

/// The bytes of packed weights that decoding reads for one token of each of several sequences.
///
/// Experts and micro agents are read by each layer, those that at least one of b sequences visits: of n choices of which
/// each takes k, n(1 − (1 − k/n)ᵇ).
public struct DecodingBytes: Sendable, Equatable {
  private let always: Double
  private let experts: (bytes: Double, share: Double)
  private let agents: (bytes: Double, share: Double)

  public init(_ configuration: RunConfiguration, _ parameters: ParameterPlan) {
    let model = configuration.model
    func bytes(_ component: String, _ part: String?) -> Double {
      parameters.parts.filter { $0.component == component && (part == nil || $0.part == part) }
        .reduce(0) { $0 + Double($1.packedBytes) }
    }
    let layers = Double(model.numLayers)
    let share = Double(model.miniMoeTopK) / Double(model.numMiniMoes)
    always =
      bytes("embedding", nil) + bytes("overseer", nil) + bytes("layers", nil)
      + Double(model.useBitDiffusion ? model.diffusionInferenceSteps : 0) * bytes("diffusion", "denoiser")
    experts = (
      layers * bytes("mini_moes", "experts"), share * Double(model.expertTopK) / Double(model.numExpertsPerMini)
    )
    agents = (
      layers * bytes("mini_moes", "micro agents"), share * Double(model.microTopK) / Double(model.numMicrosPerMini)
    )
  }

  /// Of a step of `batch` sequences.
  public func bytes(batch: Int) -> Double {
    func visited(_ part: (bytes: Double, share: Double)) -> Double {
      part.bytes * (1 - pow(1 - min(1, part.share), Double(batch)))
    }
    return always + visited(experts) + visited(agents)
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.always == right.always && left.experts == right.experts && left.agents == right.agents
  }
}
