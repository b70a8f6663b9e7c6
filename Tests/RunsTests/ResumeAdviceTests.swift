import MPI
import Testing
import Training
import TrainingSupport

/// The advice of a rejected resume must work.
@Suite(.serialized) struct ResumeAdviceTests {
  private func tiny(_ folder: SharedFolder, _ change: (inout RunConfiguration) -> Void = { _ in }) throws -> TinyRun {
    try TinyRun {
      $0.rl.numEpochs = 1
      $0.evaluation.count = 2
      $0.checkpoint.every = 1
      $0.logging.directory = folder.path
      change(&$0)
    }
  }

  @Test("The advice suggests weights if and only if the model can load them")
  func advice() throws {
    let ranks = try Ranks.alone()
    let folder = try SharedFolder(ranks)
    try tiny(folder).execute(ranks, name: "run")
    let checkpoint = "\(folder.path)/run/checkpoints/step-000001"
    let changes: [(fits: Bool, change: (inout RunConfiguration) -> Void)] = [
      (false, { $0.model.dim = 32 }), (false, { $0.model.numLayers = 3 }), (false, { $0.model.vocabSize = 300 }),
      (true, { $0.model.numHeads = 4 }), (true, { $0.precision.experts = .int8 }), (true, { $0.rl.seed = 9 }),
    ]
    for (fits, change) in changes {
      let run = try tiny(folder, change)
      let error = #expect(throws: TrainingError.self) { try run.execute(ranks, name: "run", resume: .auto) }
      let text = error?.description ?? ""
      #expect(text.hasSuffix(fits ? "--weights \(checkpoint)" : "(its weights do not fit this model)"), "\(text)")
      let other = try tiny(folder) {
        change(&$0)
        $0.checkpoint.weights = checkpoint
      }
      if fits {
        #expect(try other.execute(ranks, name: "other").steps == 1)
      } else {
        #expect(throws: (any Error).self) { try other.execute(ranks, name: "other") }
      }
    }
  }
}
