import MPI
import Testing
import Training
import TrainingSupport

/// When a run ends early, and which weights it leaves.
@Suite(.serialized) struct RunEndTests {
  private func run(_ folder: SharedFolder, _ change: (inout RunConfiguration) -> Void) throws -> TinyRun {
    try TinyRun {
      $0.rl.numEpochs = 6
      $0.rl.warmupSteps = 0
      $0.pretrain.steps = 6
      $0.pretrain.evalEvery = 1
      $0.evaluation.every = 1
      $0.evaluation.count = 20
      $0.logging.directory = folder.path
      change(&$0)
    }
  }

  /// The rewards of the evaluations of a run, by step.
  private func rewards(_ folder: SharedFolder) throws -> [Double] {
    try folder.metrics("run").compactMap { line in
      line.range(of: "\"eval/reward\":").flatMap { Double(line[$0.upperBound...].prefix { !",}".contains($0) }) }
    }
  }

  @Test("Reinforcement ends after evaluation.patience evaluations without a new best, also if it is resumed")
  func patience() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    // Weights that do not change have equal evaluations.
    let run = try run(folder) {
      $0.rl.learningRate = 1e-30
      $0.evaluation.patience = 2
      $0.checkpoint.every = 1
    }
    #expect(try run.execute(ranks, name: "run").steps == 2)
    let resumed = try run.execute(ranks, name: "run", resume: .auto)
    #expect(resumed.steps == 2 && !resumed.stopped)
  }

  @Test("A run with a guard ends with its best weights, however far the last ones are below them")
  func guarded() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let run = try run(folder) {
      $0.rl.learningRate = 0.3
      $0.rl.guardFall = 1000
      // Different for any two completions, so that the best evaluation is one only.
      $0.data.rewards[0].pattern = "[ -~]"
    }
    let outcome = try run.execute(ranks, name: "run")
    let measured = try rewards(folder)
    #expect(measured.count == 7)
    #expect(outcome.after["eval/reward"] == measured.max())
    #expect(outcome.steps == 6)
  }

  @Test("Pre-training ends at the first evaluation after warm-up that reaches the reward", arguments: [0, 3])
  func goal(warmup: Int) throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    let run = try run(folder) {
      $0.pretrain.warmupSteps = warmup
      $0.pretrain.stopAtReward = 0.5
      $0.data.rewards[0].name = .length
      $0.data.rewards[0].length = 100
      $0.data.rewards[0].pattern = nil
    }
    #expect(try run.execute(ranks, name: "run", phase: .pretrain).steps == max(1, warmup))
  }
}
