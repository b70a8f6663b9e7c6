import Configuration
import Foundation
import Models

/// The bytes of packed weights that a decoding step reads.
///
/// Each layer reads the experts and micro agents that at least one of b sequences visits. If each sequence visits k of n,
/// the expected number is n(1 − (1 − k/n)ᵇ).
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

  /// The bytes of a step of `batch` sequences.
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
