import Configuration
import Planning
import Testing

@Suite struct MemoryPlanTests {
  @Test("The memory plan has rows for reproducible expert groups and a background checkpoint")
  func memory() throws {
    func rows(_ ranks: Int, _ change: (inout RunConfiguration) -> Void) throws -> ([String: Int], ParameterPlan) {
      let configuration = PlanFixture.configuration(change)
      let parameters = try PlanFixture.parameters(configuration)
      let plan = MemoryPlan(configuration, parameters, ranks: ranks, promptLength: 8)
      return (Dictionary(uniqueKeysWithValues: plan.rows.map { ($0.name, $0.bytes) }), parameters)
    }
    let (grouped, parameters) = try rows(4) {
      $0.parallel.expert = 2
      $0.parallel.reproducible = true
    }
    let council = parameters.councilStoreCount
    let replicated = parameters.storeCount - council
    #expect(grouped["master weights, fp32"] == 4 * (replicated + council / 2))
    let stacks = parameters.stackStoreCount
    #expect(stacks > 0)
    #expect(grouped["gradients of the group's other units"] == 4 * (council - stacks) / 2)
    let (exact, _) = try rows(4) {
      $0.parallel.expert = 2
      $0.parallel.reproducible = true
      $0.rl.useMixedPrecision = false
    }
    #expect(exact["gradients of the group's other units"] == 4 * council / 2)
    // Four ranks write a quarter of the council each; rank 0 writes the rest.
    #expect(grouped["checkpoint copy on rank 0"] == 12 * (replicated + council / 4))
    let (sharded, _) = try rows(2) {
      $0.optimizer.shard = true
      $0.optimizer.state = .fp32
    }
    #expect(sharded["AdamW moments, fp32"] == 8 * (replicated / 2 + council / 2))
    #expect(sharded["checkpoint copy on rank 0"] == 4 * (replicated + council / 2) + 8 * (replicated / 2 + council / 2))
    #expect(try rows(1) { $0.checkpoint.copy = false }.0["checkpoint copy on rank 0"] == nil)
    // Two groups of two sequences of 16 tokens per rank: one or four micro-batches, or one per group with reproducible sums.
    #expect(try rows(4) { _ in }.0.keys.contains("activations of 64 tokens"))
    #expect(try rows(4) { $0.rl.accumulationSteps = 4 }.0.keys.contains("activations of 16 tokens"))
    #expect(grouped.keys.contains("activations of 32 tokens"))
    // All groups of a rollout are sampled together, up to 256 sequences.
    let (several, _) = try rows(4) {
      $0.rl.miniBatches = 3
      $0.evaluation.count = 8
    }
    #expect(several.keys.contains("key-value cache of 12 sequences"))
    // An evaluation may need more: 200 prompts on four ranks.
    #expect(try rows(4) { $0.evaluation.count = 200 }.0.keys.contains("key-value cache of 50 sequences"))
    #expect(try rows(1) { $0.rl.batchSize = 500 }.0.keys.contains("key-value cache of 256 sequences"))
    // 32 sequences of 8 + 56 tokens, four for each prompt, which has a partial block. A block has 1,280 bytes (one layer
    // of width 10), and the system gives up to twice as many blocks as are used.
    let (shared, _) = try rows(1) {
      $0.rl.numTrajectories = 4
      $0.rl.objective.maxTrajectoryLen = 56
      $0.evaluation.count = 8
    }
    #expect(shared["key-value cache of 32 sequences"] == 2 * 1280 * (32 * 4 + 8 * 1))
  }
}
