import Configuration
import Models
import Planning

/// Inputs of plans that can be computed by hand.
enum PlanFixture {
  /// A model of small round sizes, in the formats of the recipes.
  static func configuration(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var result = RunConfiguration()
    var model = ModelConfiguration(dim: 10)
    model.vocabSize = 300
    model.numLayers = 1
    model.numHeads = 1
    model.numMiniMoes = 4
    model.miniMoeTopK = 2
    model.numExpertsPerMini = 3
    model.expertTopK = 1
    model.expertDim = 20
    model.numMicrosPerMini = 5
    model.microTopK = 2
    model.microAgentDim = 4
    model.overseerDim = 40
    model.diffusionDim = 30
    model.diffusionBlocks = 2
    model.diffusionInferenceSteps = 3
    model.maxSeqLen = 64
    model.int4Group = 10
    result.model = model
    result.data.tokenizer = .byte
    result.data.task = TaskConfiguration()
    result.data.maxPromptLen = 16
    result.pretrain.sequenceLength = 32
    result.rl.batchSize = 8
    result.rl.numTrajectories = 2
    result.rl.objective.maxTrajectoryLen = 8
    change(&result)
    return result
  }

  static func parameters(_ configuration: RunConfiguration) throws -> ParameterPlan {
    try ParameterPlan(configuration.model, configuration.precision)
  }

  static var cluster: ClusterDescription {
    ClusterDescription(hosts: 2, cores: 2, memory: 1 << 34, link: 1e9, latency: 1e-3)
  }
}
