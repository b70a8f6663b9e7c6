import Formats
import Foundation
import LowBit
import Models
import Objectives
import Planning

/// A recorded case: a small model with weights and trajectories, and the results of an independent implementation.
///
/// A case has three files in one directory: NAME.json (sizes, formats, coefficients), NAME.weights.safetensors and
/// NAME.expected.safetensors.
public struct GoldenCase: Sendable {
  public let model: ModelConfiguration
  public let precision: PrecisionConfiguration
  public let objective: ObjectiveConfiguration
  public let seed: UInt64
  public let rewards: [Double]
  public let promptLength: Int
  /// Expected loss terms by name, from NAME.json.
  public let losses: [String: Double]
  public let weights: SafetensorsFile
  public let expected: SafetensorsFile

  /// Reads a case.
  ///
  /// - Throws: `GoldenCaseError` or `SafetensorsError`.
  public init(path: String) throws {
    guard path.hasSuffix(".json") else {
      throw GoldenCaseError(path: path, problem: "not a .json file", remedy: "give the NAME.json of a case")
    }
    let file: File
    do {
      file = try JSONDecoder().decode(File.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    } catch let error as DecodingError {
      throw GoldenCaseError(path: path, problem: "not the description of a case: \(error.summary)", cause: error)
    } catch {
      throw GoldenCaseError(
        path: path, problem: "cannot be read", remedy: "check that the file exists", cause: error)
    }
    let base = String(path.dropLast(".json".count))
    weights = try SafetensorsFile(path: base + ".weights.safetensors")
    expected = try SafetensorsFile(path: base + ".expected.safetensors")
    model = try file.configuration(path)
    precision = try file.formats(path)
    objective = try file.coefficients(path)
    seed = file.seed
    rewards = file.rewards
    promptLength = file.prompt_length
    losses = file.losses
    try checkSizes(path)
  }

  /// Rejects sizes that no recorded case has before memory for them is allocated.
  private func checkSizes(_ path: String) throws {
    let longest = 65536
    guard !rewards.isEmpty else {
      throw GoldenCaseError(path: path, problem: "no rewards", remedy: "list one for each trajectory")
    }
    guard model.maxSeqLen <= longest else {
      throw GoldenCaseError(
        path: path, problem: "model.max_seq_len \(model.maxSeqLen) is above the maximum \(longest) of a case")
    }
    let plan: ParameterPlan
    do { plan = try ParameterPlan(model, precision) } catch {
      throw GoldenCaseError(path: path, problem: "inconsistent sizes: \(error)", cause: error)
    }
    let numbers = plan.total.parameters + plan.balanceBiases
    guard numbers <= 1 << 26 else {
      throw GoldenCaseError(
        path: path, problem: "a model of \(numbers) parameters is above the maximum \(1 << 26) of a case")
    }
  }

  private struct File: Decodable {
    let model: [String: Number]
    let precision: [String: Number]
    let objective: [String: Number]
    let seed: UInt64
    let rewards: [Double]
    let prompt_length: Int
    let losses: [String: Double]

    func configuration(_ path: String) throws -> ModelConfiguration {
      var result = ModelConfiguration(dim: try GoldenCase.whole(required("dim", path), "model.dim", path))
      for (key, value) in model {
        guard try result.set(key, value, path) else {
          throw GoldenCaseError(path: path, problem: "unknown key model.\(key)")
        }
      }
      return result
    }

    private func required(_ key: String, _ path: String) throws -> Double {
      guard case .number(let value)? = model[key] else {
        throw GoldenCaseError(path: path, problem: "the number model.\(key) is missing")
      }
      return value
    }

    func formats(_ path: String) throws -> PrecisionConfiguration {
      var result = PrecisionConfiguration()
      for (key, value) in precision {
        if case .boolean(let flag) = value, key == "use_bitnet" {
          result.useBitnet = flag
          continue
        }
        guard case .text(let name) = value, let format = NumberFormat(rawValue: name) else {
          throw GoldenCaseError(path: path, problem: "precision.\(key) is not a number format")
        }
        switch key {
        case "overseer": result.overseer = format
        case "attention": result.attention = format
        case "diffusion": result.diffusion = format
        case "experts": result.experts = format
        case "agents": result.agents = format
        case "head": result.head = format
        default: throw GoldenCaseError(path: path, problem: "unknown key precision.\(key)")
        }
      }
      if case .boolean(let flag)? = model["use_bitnet"] { result.useBitnet = flag }
      return result
    }

    func coefficients(_ path: String) throws -> ObjectiveConfiguration {
      var result = ObjectiveConfiguration()
      for (key, value) in objective {
        switch (key, value) {
        case ("advantage", .text(let name)): result.advantage = try mode(name, key, path)
        case ("aggregation", .text(let name)): result.aggregation = try mode(name, key, path)
        case ("kl_estimator", .text(let name)): result.klEstimator = try mode(name, key, path)
        case ("clip_epsilon", .number(let x)): (result.clipEpsilonLow, result.clipEpsilonHigh) = (x, x)
        case ("clip_epsilon_low", .number(let x)): result.clipEpsilonLow = x
        case ("clip_epsilon_high", .number(let x)): result.clipEpsilonHigh = x
        case ("entropy_coef", .number(let x)): result.entropyCoef = x
        case ("aux_loss_coef", .number(let x)): result.auxLossCoef = x
        case ("diffusion_loss_coef", .number(let x)): result.diffusionLossCoef = x
        case ("value_coef", .number(let x)): result.valueCoef = x
        case ("max_trajectory_len", .number(let x)):
          result.maxTrajectoryLen = try GoldenCase.whole(x, "objective.max_trajectory_len", path)
        case ("temperature", .number(let x)): result.temperature = x
        default: throw GoldenCaseError(path: path, problem: "unknown key objective.\(key)")
        }
      }
      return result
    }

    private func mode<Mode: RawRepresentable>(_ name: String, _ key: String, _ path: String) throws -> Mode
    where Mode.RawValue == String {
      guard let mode = Mode(rawValue: name) else {
        throw GoldenCaseError(path: path, problem: "unknown objective.\(key) '\(name)'")
      }
      return mode
    }
  }

  /// A number of the file as an integer size.
  fileprivate static func whole(_ value: Double, _ key: String, _ path: String) throws -> Int {
    guard let result = Int(exactly: value), 1...(1 << 24) ~= result else {
      throw GoldenCaseError(path: path, problem: "\(key) is \(value)", remedy: "give an integer from 1 to \(1 << 24)")
    }
    return result
  }

  fileprivate enum Number: Decodable {
    case number(Double)
    case text(String)
    case boolean(Bool)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let flag = try? container.decode(Bool.self) {
        self = .boolean(flag)
      } else if let value = try? container.decode(Double.self) {
        self = .number(value)
      } else {
        self = .text(try container.decode(String.self))
      }
    }
  }
}

extension DecodingError {
  fileprivate var summary: String {
    switch self {
    case .keyNotFound(let key, _): "the key '\(key.stringValue)' is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      "\(context.codingPath.map(\.stringValue).joined(separator: ".")) \(context.debugDescription)"
    @unknown default: "it is not the expected JSON"
    }
  }
}

extension ModelConfiguration {
  /// Sets the value of a YAML key; returns false if there is no such key.
  fileprivate mutating func set(_ key: String, _ value: GoldenCase.Number, _ path: String) throws -> Bool {
    let integers: [String: WritableKeyPath<ModelConfiguration, Int>] = [
      "vocab_size": \.vocabSize, "dim": \.dim, "num_layers": \.numLayers, "num_heads": \.numHeads,
      "num_mini_moes": \.numMiniMoes, "mini_moe_top_k": \.miniMoeTopK, "num_experts_per_mini": \.numExpertsPerMini,
      "expert_top_k": \.expertTopK, "expert_dim": \.expertDim, "max_seq_len": \.maxSeqLen,
      "num_micros_per_mini": \.numMicrosPerMini, "micro_top_k": \.microTopK, "micro_agent_dim": \.microAgentDim,
      "overseer_dim": \.overseerDim, "diffusion_dim": \.diffusionDim, "diffusion_blocks": \.diffusionBlocks,
      "diffusion_steps": \.diffusionSteps, "diffusion_inference_steps": \.diffusionInferenceSteps,
      "latent_horizon": \.latentHorizon, "int4_group": \.int4Group,
    ]
    let singles: [String: WritableKeyPath<ModelConfiguration, Float>] = [
      "overseer_scale": \.overseerScale, "latent_scale": \.latentScale, "micro_scale": \.microScale,
      "norm_eps": \.normEps,
    ]
    switch value {
    case .number(let x):
      if let size = integers[key] {
        self[keyPath: size] = try GoldenCase.whole(x, "model.\(key)", path)
      } else if let path = singles[key] {
        self[keyPath: path] = Float(x)
      } else if key == "rope_base" {
        ropeBase = x
      } else if key == "latent_discount" {
        latentDiscount = x
      } else {
        return false
      }
    case .boolean(let flag):
      if key == "use_bit_diffusion" { useBitDiffusion = flag } else { return key == "use_bitnet" }
    case .text: return false
    }
    return true
  }
}
