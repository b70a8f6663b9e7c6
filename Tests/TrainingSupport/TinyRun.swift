import Foundation
import LowBit
import MPI
import Models
import Parameters
import Rollouts
import Training

/// A run small enough for tests, with every part of the model and every quantised format.
package struct TinyRun {
  package var configuration: RunConfiguration
  package var threads = 1
  /// Rewards instead of the configured ones: untrained weights give only wrong answers, and equal rewards change nothing.
  package var rewards: WeightedRewards?
  /// Whether every rank counts as a separate machine.
  package var isSpread = false

  /// - Throws: `MPIError` if MPI does not start.
  package init(_ change: (inout RunConfiguration) -> Void = { _ in }) throws {
    var result = RunConfiguration()
    result.model = Self.model(vocabulary: 259)
    result.rl.batchSize = try Ranks.groups()
    result.rl.numTrajectories = 4
    result.rl.objective.maxTrajectoryLen = 5
    result.rl.objective.advantage = .standardized
    result.rl.learningRate = 3e-3
    result.rl.warmupSteps = 2
    result.rl.numEpochs = 20
    result.pretrain.batchSize = 20
    result.pretrain.steps = 5
    result.pretrain.warmupSteps = 0
    result.pretrain.learningRate = 3e-3
    result.pretrain.sequenceLength = 16
    result.data.task = TaskConfiguration()
    result.data.tokenizer = .byte
    result.data.maxPromptLen = 16
    // For runs with the configured rewards: a reward that differs between random completions.
    result.data.rewards[0].name = .format
    result.data.rewards[0].pattern = "[a-zA-Z]"
    change(&result)
    configuration = result
    rewards = try WeightedRewards([WeightedRewards.Term(ArbitraryReward())])
  }

  package static func model(vocabulary: Int) -> ModelConfiguration {
    var model = ModelConfiguration(dim: 16)
    model.vocabSize = vocabulary
    model.numLayers = 2
    model.numHeads = 2
    model.numMiniMoes = 3
    model.numExpertsPerMini = 3
    model.expertDim = 32
    model.maxSeqLen = 24
    model.numMicrosPerMini = 4
    model.microTopK = 2
    model.microAgentDim = 8
    model.overseerDim = 32
    model.diffusionDim = 16
    model.diffusionBlocks = 1
    model.diffusionSteps = 4
    model.diffusionInferenceSteps = 2
    model.latentHorizon = 3
    model.int4Group = 16
    return model
  }

  package func assembly(_ communicator: Communicator) throws -> RunAssembly {
    try RunAssembly(configuration, file: "tiny.yaml", threads: threads, communicator: communicator)
  }

  private func learner(_ assembly: RunAssembly, _ masters: ParameterStore) throws -> Learner {
    let communicator = assembly.communicator
    return try assembly.learner(
      masters, averageDecay: configuration.rl.emaDecay,
      machine: isSpread ? communicator.split(color: communicator.rank, key: 0) : nil)
  }

  /// A trainer with initial weights, which `prepare` may change.
  package func trainer(_ communicator: Communicator, prepare: (ParameterStore) -> Void = { _ in }) throws -> Trainer {
    let assembly = try assembly(communicator)
    let masters = try assembly.masters()
    prepare(masters)
    return try Trainer(
      configuration: configuration, learner: try learner(assembly, masters), prompts: assembly.prompts(),
      tokenizer: assembly.tokenizer, rewards: rewards ?? assembly.rewards())
  }

  package func pretrainer(_ communicator: Communicator, prepare: (ParameterStore) -> Void = { _ in }) throws
    -> Pretrainer
  {
    let assembly = try assembly(communicator)
    let masters = try assembly.masters()
    prepare(masters)
    return Pretrainer(
      configuration: configuration, learner: try learner(assembly, masters),
      source: DemonstrationSequences(
        prompts: try assembly.prompts(), tokenizer: assembly.tokenizer, configuration: configuration))
  }

  /// A trainer on one rank after some steps, with the reports of the steps.
  package func trained(steps: Int) throws -> (trainer: Trainer, reports: [StepReport]) {
    let trainer = try trainer(Ranks.alone())
    var reports: [StepReport] = []
    for _ in 0..<steps { reports.append(try trainer.step()) }
    return (trainer, reports)
  }
}

extension TinyRun {
  /// Executes the run with the configured rewards in `logging.directory`. Collective.
  @discardableResult
  package func execute(
    _ ranks: Communicator, name: String, phase: RunPhase = .train, resume: ResumeChoice? = nil,
    acceptsChangedData: Bool = false
  ) throws -> TrainingRun.Outcome {
    let assembly = try assembly(ranks)
    let materials = try assembly.materials(for: phase, weights: nil)
    let training = TrainingRun(
      assembly, name: name, resume: resume, acceptsChangedData: acceptsChangedData)
    let outcome = phase == .train ? try training.train(materials) : try training.pretrain(materials)
    try ranks.barrier()
    return outcome
  }
}
