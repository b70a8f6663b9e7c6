import Models
import Rollouts
import Tensors
import Testing

/// The model of 511 million parameters with weights of zero, whose loops are those of any weights of its shape.
@Suite("Parallel loops of decoding")
struct LoopCountTests {
  @Test("A token takes few parallel loops", arguments: [(2, 1, 40), (16, 1, 40), (2, 16, 60)])
  func perToken(threads: Int, batch: Int, most: Int) throws {
    let model = try QuillanModel(ModelConfiguration(), PrecisionConfiguration())
    let weights = model.makePackedModel()
    let context = Context(pool: WorkerPool(threads: threads, team: WorkerTeam()))
    let sampler = Sampler(model: model, options: SamplingOptions(), endToken: -1, seed: 0)
    let engine = DecodingEngine(sampler, weights, context)
    engine.submit(Sampler.Request(prompt: [1, 2, 3], trajectories: (0..<UInt64(batch)).map { $0 }, limit: 6))
    for _ in 0..<3 {
      try engine.step { _ in
        true
      } ended: { _ in
        []
      }
    }
    let before = context.pool.loops
    try engine.step { _ in
      true
    } ended: { _ in
      []
    }
    let loops = context.pool.loops - before
    #expect(loops <= most && loops > 10, "\(loops) loops at batch \(batch) on \(threads) threads")
  }
}
