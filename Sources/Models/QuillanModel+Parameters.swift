import LowBit
import Parameters

extension QuillanModel {
  /// Every tensor of the model, with the names and shapes of checkpoints, exports and metrics.
  static func specifications(_ model: ModelConfiguration, _ precision: PrecisionConfiguration)
    -> [ParameterSpecification]
  {
    let d = model.dim
    let deviation = 0.02
    // Matrices that write to the residual stream start smaller, by the square root of their number.
    let residual = deviation / (2 * Double(model.numLayers)).squareRoot()
    var owner = ParameterOwner.embedding
    func matrix(
      _ name: String, _ shape: [Int], _ format: NumberFormat, _ deviation: Double = deviation, isDecayed: Bool = true
    ) -> ParameterSpecification {
      ParameterSpecification(
        "\(name).weight", shape, .linear(format), .normal(deviation: deviation), owner: owner, isDecayed: isDecayed)
    }
    func bias(_ name: String, _ shape: [Int]) -> ParameterSpecification {
      ParameterSpecification("\(name).bias", shape, .dense, .zeros, owner: owner)
    }
    func norm(_ name: String, _ shape: [Int]) -> ParameterSpecification {
      ParameterSpecification("\(name).weight", shape, .dense, .ones, owner: owner)
    }
    func router(_ name: String, _ count: Int) -> [ParameterSpecification] {
      [
        matrix(name, [count, d], .fp32, isDecayed: false),
        ParameterSpecification("\(name).bias", [count], .balanceBias, .zeros, owner: owner),
      ]
    }
    var all = [matrix("embedding", [model.vocabSize, d], precision.head, isDecayed: false)]
    owner = .overseer
    let o = model.overseerDim
    all += [
      norm("overseer.norm", [d]),
      matrix("overseer.up", [o, d], precision.overseer), bias("overseer.up", [o]),
      matrix("overseer.down", [d, o], precision.overseer, residual), bias("overseer.down", [d]),
    ]
    if model.useBitDiffusion {
      let hidden = model.diffusionDim
      let format = precision.diffusion
      owner = .diffusion
      all += [
        matrix("diffusion.latent_in", [d, d], format), norm("diffusion.context_norm", [d]),
        matrix("diffusion.time.up", [hidden, d], .fp32), bias("diffusion.time.up", [hidden]),
        matrix("diffusion.time.down", [d, hidden], .fp32), bias("diffusion.time.down", [d]),
        norm("diffusion.out_norm", [d]), matrix("diffusion.out", [d, d], format), bias("diffusion.out", [d]),
        matrix("diffusion.latent_out", [d, d], format, residual),
      ]
      for index in 0..<model.diffusionBlocks {
        let name = "diffusion.blocks.\(index)"
        all += [
          norm("\(name).norm", [d]),
          matrix("\(name).up", [hidden, d], format), bias("\(name).up", [hidden]),
          matrix("\(name).mid", [hidden, hidden], format), bias("\(name).mid", [hidden]),
          matrix("\(name).down", [d, hidden], format, residual), bias("\(name).down", [d]),
        ]
      }
    }
    for index in 0..<model.numLayers {
      let name = "layers.\(index)"
      owner = .layer(index)
      all += [
        norm("\(name).attention_norm", [d]),
        matrix("\(name).attention.qkv", [3 * d, d], precision.attention),
        matrix("\(name).attention.out", [d, d], precision.attention, residual),
        norm("\(name).moe_norm", [d]),
      ]
      all += router("\(name).router", model.numMiniMoes)
    }
    let (experts, width) = (model.numExpertsPerMini, model.expertDim)
    let (agents, small) = (model.numMicrosPerMini, model.microAgentDim)
    for index in 0..<model.numMiniMoes {
      let name = "mini_moes.\(index)"
      owner = .miniMoE(index)
      all += router("\(name).router", experts)
      all += [
        matrix("\(name).experts.up", [experts, width, d], precision.experts),
        bias("\(name).experts.up", [experts, width]),
        matrix("\(name).experts.down", [experts, d, width], precision.experts, residual),
        bias("\(name).experts.down", [experts, d]),
      ]
      all += router("\(name).micro_router", agents)
      all += [
        norm("\(name).agents.norm", [agents, d]),
        matrix("\(name).agents.up", [agents, small, d], precision.agents),
        bias("\(name).agents.up", [agents, small]),
        matrix("\(name).agents.down", [agents, d, small], precision.agents, residual),
        bias("\(name).agents.down", [agents, d]),
      ]
    }
    owner = .finalNorm
    all.append(norm("final_norm", [d]))
    owner = .valueHead
    all += [
      ParameterSpecification("value_head.weight", [d], .dense, .normal(deviation: deviation), owner: owner),
      bias("value_head", [1]),
    ]
    return all
  }
}
