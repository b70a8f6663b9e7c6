import Configuration
import Foundation
import Models
import Testing
import TestSupport

@Suite struct ConfigurationRecipeTests {
  private static let names = [
    "quickstart", "own-data", "quillan-511m", "quillan-low-memory", "no-bitnet", "no-diffusion", "diffusion-20-steps",
    "ablations/addition", "ablations/sorting", "ablations/reversal", "ablations/chain-sum",
  ]

  private func load(_ name: String, overrides: [String] = []) throws -> RunConfiguration {
    let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
    return try RunConfiguration.load(path: root.path + "/configs/\(name).yaml", overrides: overrides)
  }

  @Test("Every recipe loads, and its YAML parses to an equal configuration", arguments: names)
  func recipes(name: String) throws {
    let configuration = try load(name)
    #expect(try RunConfiguration.parse(yaml: configuration.yaml(), file: "config.yaml") == configuration)
    _ = try configuration.promptSource(file: name)
  }

  @Test("The recipe of the 511M model has the defaults in every section except data")
  func defaults() throws {
    var configuration = try load("quillan-511m")
    configuration.data = DataConfiguration()
    #expect(configuration == RunConfiguration())
  }

  @Test("The variants differ from the 511M recipe only in the setting in their name")
  func variants() throws {
    let whole = try load("quillan-511m")
    #expect(try load("no-bitnet", overrides: ["model.use_bitnet=true"]) == whole)
    #expect(try load("no-diffusion", overrides: ["model.use_bit_diffusion=true"]) == whole)
    let steps = ["model.diffusion_steps=10", "model.diffusion_inference_steps=5"]
    #expect(try load("diffusion-20-steps", overrides: steps) == whole)
    #expect(try load("diffusion-20-steps").model.diffusionSteps == 20)
  }

  @Test("The low-memory recipe has width 384, 16 mini-MoEs, and two groups in two micro-batches")
  func lowMemory() throws {
    let configuration = try load("quillan-low-memory")
    #expect(configuration.model.dim == 384)
    #expect(configuration.model.expertDim == 768)
    #expect(configuration.model.numMiniMoes == 16)
    #expect(configuration.rl.batchSize == 2)
    #expect(configuration.rl.accumulationSteps == 2)
  }

  @Test("The quickstart enables every part and every quantised format and gives no warning")
  func quickstart() throws {
    let configuration = try load("quickstart")
    #expect(configuration.formats == PrecisionConfiguration())
    #expect(configuration.model.useBitDiffusion)
    #expect(configuration.model.vocabSize == configuration.data.tokenizer.vocabularySize)
    #expect(configuration.warnings.isEmpty)
  }
}
