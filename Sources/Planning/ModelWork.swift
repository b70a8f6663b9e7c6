import Configuration
import LowBit
import Models

/// The arithmetic per token, in bfloat16 multiply-adds.
///
/// Multiply-adds of other formats are weighted by their time on a core with AVX-512 (<doc:Benchmarks>): fp32 and fp16 2;
/// ternary, int4 and int8 0.55; the products within attention (fp32, short rows) 3. Routers are fp32. Norms and activation
/// functions are not counted.
public struct ModelWork: Sendable, Equatable {
  /// Work of the forward pass per token, without the head and the sampling of latents.
  public let forward: Double
  /// Work of the backward pass per token: two products for each forward product.
  public let backward: Double
  /// Work of one denoiser call per token.
  public let denoiser: Double
  /// Work of the head per predicted token.
  public let head: Double
  /// Work of the backward pass of the head per predicted token.
  public let headBackward: Double
  /// Denoiser calls per sampled latent; 0 without diffusion.
  public let denoiserCalls: Int

  static func cost(_ format: NumberFormat) -> Double {
    switch format {
    case .fp32, .fp16: 2
    case .bf16: 1
    case .ternary, .int4, .int8: 0.55
    }
  }

  private static let attentionCost = 3.0

  /// - Parameter positions: the mean number of positions that a token attends to.
  public init(_ configuration: RunConfiguration, positions: Double) {
    let (model, formats) = (configuration.model, configuration.formats)
    let d = Double(model.dim)
    // Multiply-adds of weight matrices by format.
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

  /// Work of training per token: forward pass, denoiser loss, head, backward pass, and a second forward pass if activations
  /// are recomputed.
  ///
  /// - Parameter predicted: the fraction of tokens that are predicted.
  public func training(predicted: Double, recomputed: Bool) -> Double {
    (recomputed ? 2 : 1) * forward + denoiser + backward + predicted * (head + headBackward)
  }

  /// Work per prompt token, including latents.
  public var reading: Double { forward + Double(denoiserCalls) * denoiser }

  /// Work per sampled token.
  public var sampling: Double { reading + head }
}
