import Checkpoints
import Foundation
import MPI
import Parameters
import TestSupport
import Testing
import Training
import TrainingSupport

/// Runs stopped between the updates of a rollout, whose groups are divided among ranks, and resumed on another number of
/// ranks: `mpirun -n 4 <test bundle> … --filter SharedGroupResumeTests`.
@Suite(.serialized) struct SharedGroupResumeTests {
  private static let steps = 6

  private func tiny(_ folder: SharedFolder, _ change: (inout RunConfiguration) -> Void = { _ in }) throws -> TinyRun {
    try TinyRun {
      $0.rl.numEpochs = Self.steps
      $0.rl.batchSize = 1
      $0.rl.miniBatches = 3
      $0.rl.numTrajectories = 8
      $0.rl.demonstrations = true
      $0.parallel.reproducible = true
      $0.evaluation.count = 4
      $0.checkpoint.every = 1
      $0.checkpoint.keep = 20
      $0.logging.directory = folder.path
      change(&$0)
    }
  }

  /// Copies a run without its checkpoints after a step. Collective.
  private func copy(_ folder: SharedFolder, to name: String, at step: Int, _ ranks: Communicator) throws {
    try ranks.barrier()
    if ranks.rank == 0 {
      try FileManager.default.copyItem(atPath: "\(folder.path)/whole", toPath: "\(folder.path)/\(name)")
      for later in step + 1...Self.steps {
        try FileManager.default.removeItem(atPath: "\(folder.path)/\(name)/checkpoints/step-00000\(later)")
      }
    }
    try ranks.barrier()
  }

  @Test("A run resumed on one rank or on all, within a rollout, has the same bits", arguments: [1, 2, 3, 4])
  func resumed(step: Int) throws {
    let (ranks, alone) = (try Ranks.together(), try Ranks.alone())
    for isSavedByAll in [true, false] {
      let folder = try SharedFolder(ranks)
      let run = try tiny(folder)
      func execute(onAll: Bool, _ name: String, _ resume: ResumeChoice?) throws {
        if onAll { try run.execute(ranks, name: name, resume: resume) }
        if !onAll, ranks.rank == 0 { try run.execute(alone, name: name, resume: resume) }
      }
      try execute(onAll: isSavedByAll, "whole", nil)
      for isResumedByAll in [true, false] {
        let name = "part-\(isResumedByAll)"
        try copy(folder, to: name, at: step, ranks)
        try execute(onAll: isResumedByAll, name, .auto)
        try ranks.barrier()
        #expect(try folder.metrics(name) == folder.metrics("whole"))
        #expect(folder.bytes("\(name)/weights.safetensors") == folder.bytes("whole/weights.safetensors"))
        #expect(folder.bytes("\(name)/samples.jsonl") == folder.bytes("whole/samples.jsonl"))
      }
      try ranks.barrier()
    }
  }

  @Test("A run resumed with other sums reads its pending rollouts whatever their division was")
  func otherDivision() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    try tiny(folder) { $0.parallel.reproducible = false }.execute(ranks, name: "whole")
    try copy(folder, to: "part", at: 4, ranks)
    let outcome = try tiny(folder).execute(ranks, name: "part", resume: .auto)
    #expect(outcome.steps == Self.steps)
    // The rollout of steps 4 to 6 was sampled before the change, so its drawn prompts and samples stay.
    #expect(folder.bytes("part/samples.jsonl") == folder.bytes("whole/samples.jsonl"))
    try ranks.barrier()
  }

  @Test("Pending rollouts of version 0.1, in complete groups, are resumed with the same bits")
  func olderFormat() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    if ranks.rank == 0 {
      try FileManager.default.copyItem(
        at: Fixtures.url("groupwise-rollouts"), to: URL(fileURLWithPath: "\(folder.path)/old"))
    }
    try ranks.barrier()
    // Version 0.1 made the four steps on two ranks; its checkpoint is of step 3, with one update to go.
    let expected = try folder.metrics("old")
    try ranks.barrier()
    var run = try tiny(folder)
    run.configuration = try RunConfiguration.load(
      path: "\(folder.path)/old/config.yaml", overrides: ["logging.directory=\(folder.path)"])
    try run.execute(ranks, name: "old", resume: .auto)
    // Version 0.1 did not write pass rates.
    #expect(
      try folder.metrics("old").map { $0.replacing(/"eval\/pass_rate":[^,}]*,/, with: "") } == expected)
    let assembly = try run.assembly(ranks)
    let new = try assembly.masters(weights: "\(folder.path)/old/weights.safetensors", whole: true)
    let old = try assembly.masters(weights: Fixtures.url("groupwise-rollouts/weights.safetensors").path, whole: true)
    #expect(Fingerprint.of(new) == Fingerprint.of(old))
    try ranks.barrier()
  }
}
