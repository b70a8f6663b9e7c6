import Models
import Rollouts
import TestSupport
import Testing
import Training

@Suite("Memory of decoding")
struct DecodingMemoryTests {
  @Test(
    "Key-value caches take what is planned, at most and nearly, however prompts are shared",
    arguments: [(prompts: 6, samples: 1), (1, 12), (3, 8)], [1, 16, 37, 200])
  func planned(groups: (prompts: Int, samples: Int), promptLength: Int) throws {
    let generated = 40
    let tiny = try TinyModel(seed: 12) { $0.maxSeqLen = 256 }
    var options = SamplingOptions()
    options.maxNewTokens = generated
    let sequences = groups.prompts * groups.samples
    let sampler = Sampler(
      model: tiny.model, options: options, endToken: -1, seed: 1, maximumBatch: sequences)
    let engine = DecodingEngine(sampler, tiny.weights, tiny.context)
    for prompt in 0..<groups.prompts {
      let first = UInt64(prompt * groups.samples)
      engine.submit(
        Sampler.Request(
          prompt: (0..<promptLength).map { Int32(1 + ($0 + prompt) % 100) },
          trajectories: (0..<UInt64(groups.samples)).map { first + $0 }))
    }
    while !engine.isIdle {
      try engine.step { _ in
        true
      } ended: { _ in
        []
      }
    }
    let planned = DecodingBatch.cacheBytes(
      tiny.model.configuration, promptLength: promptLength, generated: generated, sequences: sequences,
      prompts: groups.prompts)
    #expect(engine.reservedBytes <= planned)
    // Chunks double, and a block is added for the last partial block of a prompt.
    #expect(planned <= 3 * engine.reservedBytes)
  }
}
