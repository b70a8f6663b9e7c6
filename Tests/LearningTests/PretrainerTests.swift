import Rollouts
import Testing
import Training
import TrainingSupport

@Suite struct PretrainerTests {
  @Test("Recomputed activations and other numbers of threads give the same weights and metrics")
  func sameBits() throws {
    func trace(_ run: TinyRun) throws -> ([[String: UInt64]], Fingerprint) {
      let trainer = try run.pretrainer(Ranks.alone())
      let metrics = try (0..<3).map { _ in try trainer.step().metrics.bits() }
      return (metrics, Fingerprint.of(trainer.learner.masters))
    }
    let expected = try trace(TinyRun())
    let recomputed = try trace(TinyRun { $0.rl.gradientCheckpointing = true })
    #expect(recomputed == expected)
    var run = try TinyRun()
    run.threads = 3
    #expect(try trace(run) == expected)
  }

  @Test("The loss on demonstrations falls")
  func learns() throws {
    let trainer = try TinyRun {
      $0.pretrain.steps = 30
      $0.pretrain.learningRate = 1e-2
    }
    .pretrainer(Ranks.alone())
    let losses = try (0..<30).map { _ in try trainer.step().metrics["loss/cross_entropy"] ?? .nan }
    #expect(losses[29] < 0.7 * losses[0], "\(losses)")
  }

  @Test("The loss covers the answer and the end token, and its terms add up")
  func terms() throws {
    let run = try TinyRun {
      $0.pretrain.auxLossCoef = 0.25
      $0.pretrain.diffusionLossCoef = 0.5
    }
    let metrics = try run.pretrainer(Ranks.alone()).step().metrics
    let expected =
      (metrics["loss/cross_entropy"] ?? 0) + 0.25 * (metrics["loss/aux"] ?? 0) + 0.5 * (metrics["loss/diffusion"] ?? 0)
    #expect(metrics["loss"] == expected)
    let assembly = try run.assembly(Ranks.alone())
    let source = DemonstrationSequences(
      prompts: try assembly.prompts(), tokenizer: assembly.tokenizer, configuration: run.configuration)
    let sequence = try source.sequence(step: 0, index: 3, batchSize: 20)
    let prompt = try assembly.prompts().prompt(index: 3, split: .train)
    let answer = assembly.tokenizer.encode(prompt.answer) + [assembly.tokenizer.endToken]
    #expect(sequence.positions.map { sequence.tokens[$0] } == answer)
    #expect(sequence.tokens.count - answer.count == assembly.tokenizer.encode(prompt.text).count)
  }
}
