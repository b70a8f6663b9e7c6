import Objectives
import Parameters
import Rollouts
import Testing
import Training
import TrainingSupport

@Suite struct MicroBatchTests {
  private static func configuration(_ change: (inout RunConfiguration) -> Void) -> RunConfiguration {
    var configuration = RunConfiguration()
    change(&configuration)
    return configuration
  }

  /// Lengths of 1 to 700 tokens.
  private static let lengths = (0..<200).map { 1 + $0 * 7919 % 700 }

  @Test(
    "Every sequence is in one part, in order; parts respect the maximum tokens and the minimum number of parts",
    arguments: [1, 2, 7, 200], [false, true])
  func parts(steps: Int, recomputed: Bool) {
    let configuration = Self.configuration {
      $0.rl.accumulationSteps = steps
      $0.rl.gradientCheckpointing = recomputed
    }
    let parts = MicroBatches.parts(Self.lengths, configuration)
    #expect(parts.flatMap { $0 } == Array(Self.lengths.indices))
    #expect(parts.count >= steps)
    let limit = MicroBatches.tokens(recomputed: recomputed)
    for part in parts {
      #expect(part.count == 1 || Self.lengths[part].reduce(0, +) <= limit)
      let planned = MicroBatches.largest(sequences: 200, length: 700, unit: 1, configuration)
      #expect(Self.lengths[part].reduce(0, +) <= max(planned, limit))
    }
    // Without a minimum number of parts, a part ends only if the next sequence does not fit.
    if steps == 1 {
      for part in parts.dropLast() { #expect(Self.lengths[part.lowerBound...part.upperBound].reduce(0, +) > limit) }
    }
  }

  @Test("A sequence longer than a micro-batch gets its own micro-batch, and no sequences give no micro-batches")
  func extremes() {
    let configuration = Self.configuration { _ in }
    #expect(MicroBatches.parts([10, 100_000, 10], configuration) == [0..<1, 1..<2, 2..<3])
    #expect(MicroBatches.parts([], configuration).isEmpty)
  }

  @Test("Parts of reproducible reduction units depend only on the unit")
  func reproducible() {
    let alone = Self.configuration { $0.parallel.reproducible = true }
    let asked = Self.configuration {
      $0.parallel.reproducible = true
      $0.rl.accumulationSteps = 8
      $0.rl.gradientCheckpointing = true
    }
    let parts = MicroBatches.parts(Self.lengths, alone)
    #expect(MicroBatches.parts(Self.lengths, asked) == parts)
    #expect(parts.allSatisfy { Self.lengths[$0].reduce(0, +) <= MicroBatches.unitTokens })
    #expect(MicroBatches.parts([4000, 90, 7], alone) == [0..<2, 2..<3])
  }

  @Test(
    "A step with many tokens needs the memory of one micro-batch, and fifty steps of different lengths need no more")
  func memory() throws {
    func reserved(_ groups: Int, steps: Int) throws -> Int {
      let run = try TinyRun {
        $0.model.maxSeqLen = 64
        $0.rl.objective.maxTrajectoryLen = 40
        $0.rl.batchSize = groups
        $0.rl.numTrajectories = 8
      }
      let trainer = try run.trainer(Ranks.alone())
      var reserved = 0
      for step in 0..<steps {
        var batch = try trainer.sampleGroups(step: step).groups
        // Lengths of 1 to 40 that differ from step to step.
        for (number, group) in batch.enumerated() {
          batch[number].trajectories = group.trajectories.enumerated().map { index, trajectory in
            trajectory.shortened(to: 1 + (step * 31 + number * 17 + index * 7) % 40)
          }
        }
        _ = try trainer.trainStep(batch)
        if step == 9 || steps == 1 { reserved = trainer.learner.context.reservedBytes }
      }
      if steps > 10 {
        let last = trainer.learner.context.reservedBytes
        #expect(Double(last) < 1.3 * Double(reserved), "\(reserved) bytes after ten steps, \(last) after \(steps)")
      }
      return trainer.learner.context.reservedBytes
    }
    let few = try reserved(6, steps: 1)
    #expect(try Double(reserved(48, steps: 1)) < 2 * Double(few))
    _ = try reserved(12, steps: 50)
  }

  @Test("Pre-training in micro-batches gives the metrics of pre-training by single sequences")
  func pretraining() throws {
    func first(_ steps: Int) throws -> [String: Double] {
      try TinyRun { $0.rl.accumulationSteps = steps }.pretrainer(Ranks.alone()).step().metrics
    }
    let (undivided, single) = (try first(1), try first(20))
    for name in ["loss/cross_entropy", "loss/aux", "loss/diffusion", "grad_norm"] {
      let (a, b) = (undivided[name] ?? .nan, single[name] ?? .nan)
      #expect(abs(a - b) <= 1e-5 * abs(a), "\(name): \(a) and \(b)")
    }
  }
}

extension Trajectory {
  /// The trajectory with at most `count` generated tokens.
  fileprivate func shortened(to count: Int) -> Trajectory {
    let generated = min(count, logProbabilities.count)
    let length = promptLength + generated
    let bytes = latents.count / max(1, tokens.count)
    return Trajectory(
      id: id, promptID: promptID, promptLength: promptLength, tokens: Array(tokens.prefix(length)),
      mask: Array(mask.prefix(length)), latents: Array(latents.prefix(length * bytes)),
      logProbabilities: Array(logProbabilities.prefix(generated)), finished: finished)
  }
}
