import Foundation
import LowBit
import MPI
import Models
import Parameters
import Rollouts
import TestSupport
import Testing
import Training
import TrainingSupport

/// Every recipe is planned at full size without allocation, and a small copy of it takes one step of each phase.
@Suite(.serialized) struct RecipeDryRunTests {
  private static let names = [
    "quickstart", "quillan-511m", "quillan-low-memory", "no-bitnet", "no-diffusion", "diffusion-20-steps",
  ]

  private func load(_ name: String) throws -> RunConfiguration {
    let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
    return try RunConfiguration.load(path: root.path + "/configs/\(name).yaml")
  }

  private func plan(_ configuration: RunConfiguration) throws -> ParameterPlan {
    try ParameterPlan(configuration.model, configuration.precision)
  }

  /// The recipe at a size that trains in milliseconds: flags, formats, choices per token and modes are unchanged;
  /// widths, counts and lengths are divided; the data is a built-in task for the byte tokenizer.
  private func shrunken(_ configuration: RunConfiguration) throws -> RunConfiguration {
    var small = configuration
    let divisor = configuration.model.dim >= 256 ? 16 : 2
    small.model.dim /= divisor
    small.model.expertDim /= divisor
    small.model.overseerDim /= divisor
    small.model.diffusionDim /= divisor
    small.model.int4Group /= divisor
    small.model.numHeads /= min(divisor, 4)
    small.model.microAgentDim /= min(divisor, 4)
    small.model.numMiniMoes /= min(divisor, 8)
    small.model.numExpertsPerMini /= 2
    small.model.numMicrosPerMini /= min(divisor * 2, 25)
    small.model.numMicrosPerMini = max(small.model.numMicrosPerMini, small.model.microTopK)
    small.model.numLayers = 2
    small.model.vocabSize = DataConfiguration.Tokenizer.byte.vocabularySize
    small.model.maxSeqLen = 32
    small.rl.batchSize = min(small.rl.batchSize, 4)
    small.rl.numTrajectories = 4
    small.rl.objective.maxTrajectoryLen = 4
    small.pretrain.batchSize = 4
    small.pretrain.sequenceLength = 32
    small.data.prompts = nil
    small.data.text = nil
    small.data.task = TaskConfiguration()
    small.data.tokenizer = .byte
    small.data.maxPromptLen = 16
    small.parallel.threads = 1
    small.debug.assertExact = true
    try small.validate(file: "a small copy")
    return small
  }

  @Test("The tensors and memory of every recipe are planned at full size", arguments: names)
  func plans(name: String) throws {
    let configuration = try load(name)
    let model = try QuillanModel(configuration.model, configuration.precision)
    let plan = try plan(configuration)
    #expect(plan.total.parameters == model.table.parameterCount)
    #expect(plan.storeCount == model.table.storeCount)
    #expect(model.table.specifications.allSatisfy { $0.count > 0 && $0.shape.allSatisfy { $0 > 0 } })
    let d = configuration.model.dim
    #expect(model.table[model.table.require("embedding.weight")].shape == [configuration.model.vocabSize, d])
    let experts = model.table[model.table.require("mini_moes.0.experts.up.weight")].shape
    #expect(experts == [configuration.model.numExpertsPerMini, configuration.model.expertDim, d])

    let memory = MemoryPlan(configuration, plan, ranks: 1, promptLength: configuration.data.maxPromptLen)
    #expect(memory.rows.allSatisfy { $0.bytes > 0 })
    #expect(memory.rows[0].bytes == 4 * model.table.storeCount)
    #expect(memory.total == memory.rows.reduce(0) { $0 + $1.bytes })
  }

  @Test("The 511M model has 511,500,289 parameters and 10,848 balance biases")
  func defaultSize() throws {
    let plan = try plan(load("quillan-511m"))
    #expect(plan.total.parameters == 511_500_289)
    #expect(plan.balanceBiases == 10_848)
  }

  @Test("Without diffusion, the model lacks only the diffusion tensors of the 511M model")
  func noDiffusion() throws {
    let configuration = try load("no-diffusion")
    let model = try QuillanModel(configuration.model, configuration.precision)
    #expect(!model.table.specifications.contains { $0.name.hasPrefix("diffusion.") })
    let full = try plan(load("quillan-511m"))
    #expect(try plan(configuration).components == full.components.filter { $0.component != "diffusion" })
  }

  @Test("Without BitNet, no tensor is ternary, and the shapes are as in the 511M model")
  func noBitNet() throws {
    let configuration = try load("no-bitnet")
    let model = try QuillanModel(configuration.model, configuration.precision)
    #expect(!model.table.specifications.contains { $0.role == .linear(.ternary) })
    let full = try load("quillan-511m")
    let fullModel = try QuillanModel(full.model, full.precision)
    #expect(fullModel.table.specifications.contains { $0.role == .linear(.ternary) })
    #expect(model.table.specifications.map(\.shape) == fullModel.table.specifications.map(\.shape))
  }

  @Test("The diffusion-20-steps recipe has 20 noise levels, 10 denoiser calls and no additional tensor")
  func diffusionSteps() throws {
    let configuration = try load("diffusion-20-steps")
    #expect(configuration.model.diffusionSteps == 20)
    #expect(configuration.model.diffusionInferenceSteps == 10)
    let full = try load("quillan-511m")
    let table = try QuillanModel(configuration.model, configuration.precision).table
    #expect(try table == QuillanModel(full.model, full.precision).table)
  }

  @Test("The low-memory recipe has width 384, 16 mini-MoEs, 2 groups in 2 parts, and needs less memory")
  func lowMemory() throws {
    let configuration = try load("quillan-low-memory")
    #expect(configuration.model.dim == 384)
    #expect(configuration.model.numMiniMoes == 16)
    #expect(configuration.rl.batchSize == 2)
    #expect(configuration.rl.accumulationSteps == 2)
    let full = try load("quillan-511m")
    let memory = MemoryPlan(configuration, try plan(configuration), ranks: 1, promptLength: 1920)
    #expect(memory.total < MemoryPlan(full, try plan(full), ranks: 1, promptLength: 1920).total)
  }

  @Test(
    "A small copy of every recipe trains in a reinforcement learning step and a pre-training step", arguments: names)
  func dryRun(name: String) throws {
    let configuration = try shrunken(load(name))
    let assembly = try RunAssembly(
      configuration, file: name, threads: 1, communicator: Environment.initialize())
    let initial = Fingerprint.of(try assembly.masters())
    let trainer = try Trainer(
      configuration: configuration, learner: try assembly.learner(assembly.masters()), prompts: assembly.prompts(),
      tokenizer: assembly.tokenizer, rewards: assembly.rewards())
    let report = try trainer.step()
    #expect(report.metrics.values.allSatisfy { $0.isFinite }, "\(report.metrics)")
    // Random completions are usually all wrong; without an advantage, the step must not change the weights.
    let isIdle = report.metrics["frac_reward_zero_std"] == 1
    #expect((Fingerprint.of(trainer.learner.masters) == initial) == isIdle, "\(report.metrics)")
    #expect(report.metrics["rollout/logp_abs_diff_max"] == 0)
    #expect((report.metrics["loss/diffusion"] ?? 0 > 0) == configuration.model.useBitDiffusion)
    #expect(report.metrics["grad_norm"] ?? 0 > 0)

    let demonstrations = DemonstrationSequences(
      prompts: try assembly.prompts(), tokenizer: assembly.tokenizer, configuration: configuration)
    let pretrainer = Pretrainer(
      configuration: configuration, learner: try assembly.learner(try assembly.masters()), source: demonstrations)
    let metrics = try pretrainer.step().metrics
    #expect(metrics.values.allSatisfy { $0.isFinite }, "\(metrics)")
    // An untrained model predicts about as well as a uniform distribution over the vocabulary.
    let uniform = log(Double(configuration.model.vocabSize))
    #expect(abs((metrics["loss/cross_entropy"] ?? 0) - uniform) < 0.2 * uniform, "\(metrics)")
    #expect(metrics["grad_norm"] ?? 0 > 0)
    #expect(Fingerprint.of(pretrainer.learner.masters) != initial)
  }

  @Test("Planned packed bytes equal the size of the packed model", arguments: names)
  func packedBytes(name: String) throws {
    let configuration = try shrunken(load(name))
    let model = try QuillanModel(configuration.model, configuration.precision)
    let packed = model.makePackedModel()
    // The packed model also contains the balance biases and values derived from the weights.
    let biases = model.table.specifications.filter { $0.role == .balanceBias }
      .reduce(0) { $0 + 4 * (($1.count + 15) & ~15) }
    #expect(try plan(configuration).total.packedBytes == packed.byteCount - biases - 4 * packed.derived.count)
  }
}
