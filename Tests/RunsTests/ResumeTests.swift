import Checkpoints
import Foundation
import MPI
import Parameters
import Testing
import Training
import TrainingSupport

/// A stopped and resumed run equals the uninterrupted run. Every test makes both on all ranks; on several ranks:
/// `mpirun -n 4 <test bundle> … --filter ResumeTests`.
@Suite(.serialized) struct ResumeTests {
  private func tiny(_ folder: SharedFolder, _ change: (inout RunConfiguration) -> Void) throws -> TinyRun {
    try TinyRun {
      $0.rl.numEpochs = 7
      $0.pretrain.steps = 7
      $0.evaluation.count = 4
      $0.evaluation.every = 3
      $0.checkpoint.every = 1
      $0.checkpoint.keep = 20
      $0.logging.every = 1
      $0.logging.directory = folder.path
      change(&$0)
    }
  }

  /// Makes a run, resumes copies of it from each of the steps, and compares all their files with the uninterrupted run.
  ///
  /// - Parameters:
  ///   - others: the ranks that resume, if they differ.
  ///   - expert: `parallel.expert` of the resumed run, if it differs.
  private func expectSame(
    _ phase: RunPhase, from steps: [Int], on ranks: Communicator, resumedOn others: Communicator? = nil,
    expert: Int? = nil, _ change: (inout RunConfiguration) -> Void
  ) throws {
    let folder = try SharedFolder(ranks)
    let run = try tiny(folder, change)
    let resumed = try tiny(folder) {
      change(&$0)
      if let expert { $0.parallel.expert = expert }
    }
    try run.execute(ranks, name: "whole", phase: phase)
    let lines = try folder.metrics("whole")
    let weights = folder.bytes("whole/weights.safetensors")
    for step in steps {
      if ranks.rank == 0 {
        let manager = FileManager.default
        try manager.copyItem(atPath: "\(folder.path)/whole", toPath: "\(folder.path)/part")
        for later in step + 1...7 {
          try manager.removeItem(atPath: "\(folder.path)/part/checkpoints/step-00000\(later)")
        }
        try manager.removeItem(atPath: "\(folder.path)/part/weights.safetensors")
      }
      try ranks.barrier()
      if let others {
        if ranks.rank == 0 { try resumed.execute(others, name: "part", phase: phase, resume: .auto) }
      } else {
        try resumed.execute(ranks, name: "part", phase: phase, resume: .auto)
      }
      try ranks.barrier()
      #expect(try folder.metrics("part") == lines, "from step \(step)")
      #expect(folder.bytes("part/weights.safetensors") == weights, "from step \(step)")
      if others == nil, expert == nil {
        let name = "checkpoints/step-000007"
        for file in try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/whole/\(name)") {
          #expect(folder.bytes("part/\(name)/\(file)") == folder.bytes("whole/\(name)/\(file)"), "\(file) from \(step)")
        }
      }
      try folder.remove("part")
    }
  }

  @Test(
    "A resumed reinforcement learning run has the same bits: weights, moments, metrics, samples",
    arguments: [true, false])
  func reinforcement(copies: Bool) throws {
    try expectSame(.train, from: [1, 4], on: Ranks.together()) { $0.checkpoint.copy = copies }
  }

  @Test("A resumed run has the same bits with an old policy, a reference, sharded moments and shared rollouts")
  func inFlight() throws {
    try expectSame(.train, from: [1, 2, 5], on: Ranks.together()) {
      $0.rl.oldPolicyInterval = 3
      $0.rl.objective.klCoef = 0.1
      $0.rl.batchSize = 4
      $0.rl.miniBatches = 2
      $0.optimizer.shard = true
    }
  }

  @Test("A resumed run has the same bits with average, trust region, guard and demonstrations", arguments: [0.001, 10])
  func kept(fall: Double) throws {
    try expectSame(.train, from: [1, 3, 5], on: Ranks.together()) {
      $0.rl.emaDecay = 0.8
      $0.rl.targetKL = 1e-5
      $0.rl.guardFall = fall
      $0.rl.demonstrations = true
      $0.rl.zeroAdvantage = .skip
      $0.rl.learningRate = 0.05
      $0.evaluation.every = 1
    }
  }

  @Test("A resumed pre-training run has the same bits")
  func pretraining() throws {
    try expectSame(.pretrain, from: [3], on: Ranks.together()) { _ in }
  }

  @Test(
    "A resumed run with 8-bit moments has the same bits, complete or divided among the ranks", arguments: [false, true])
  func eightBits(sharded: Bool) throws {
    try expectSame(.pretrain, from: [4], on: Ranks.together()) {
      $0.optimizer.state = .int8
      $0.optimizer.shard = sharded
    }
  }

  @Test("A reproducible run resumed on another number of ranks has the same bits")
  func otherRanks() throws {
    try expectSame(.train, from: [2, 3], on: Ranks.together(), resumedOn: Ranks.alone()) {
      $0.parallel.reproducible = true
      $0.rl.oldPolicyInterval = 2
      $0.rl.batchSize = 4
      $0.rl.miniBatches = 2
    }
  }

  @Test("A reproducible run resumed with other expert groups has the same bits")
  func otherGroups() throws {
    let ranks = try Ranks.together()
    let sizes = Ownership.validSizes(ranks: ranks.size, miniMoEs: 4)
    func change(_ configuration: inout RunConfiguration) {
      configuration.model.numMiniMoes = 4
      configuration.parallel.reproducible = true
      configuration.optimizer.shard = true
      configuration.rl.oldPolicyInterval = 3
      configuration.rl.objective.klCoef = 0.05
      configuration.rl.batchSize = 4
    }
    for (expert, next) in zip(sizes, sizes.reversed()) {
      func grouped(_ configuration: inout RunConfiguration) {
        change(&configuration)
        configuration.parallel.expert = expert
      }
      // Resumed on one rank, and on all ranks.
      try expectSame(.train, from: [2], on: ranks, resumedOn: Ranks.alone(), expert: 1, grouped)
      try expectSame(.train, from: [4], on: ranks, expert: next, grouped)
    }
  }

  @Test("A damaged checkpoint is skipped and kept; if all are damaged, the run does not start")
  func damaged() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    let run = try tiny(folder) { $0.rl.numEpochs = 4 }
    try run.execute(ranks, name: "run")
    func damage(_ step: String) throws {
      try ranks.barrier()
      if ranks.rank == 0 {
        let path = "\(folder.path)/run/checkpoints/step-00000\(step)/replicated.qck"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
      }
      try ranks.barrier()
    }
    let lines = try folder.metrics("run")
    let weights = folder.bytes("run/weights.safetensors")
    try damage("4")
    try damage("3")
    let outcome = try run.execute(ranks, name: "run", resume: .auto)
    #expect(outcome.steps == 4)
    #expect(try folder.metrics("run") == lines)
    #expect(folder.bytes("run/weights.safetensors") == weights)
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/run/checkpoints").sorted()
    #expect(
      names == [
        "latest", "step-000001", "step-000002", "step-000003", "step-000003-2", "step-000004", "step-000004-2",
      ])
    for name in ["1", "2", "3-2", "4-2"] { try damage(name) }
    let error = #expect(throws: TrainingError.self) { try run.execute(ranks, name: "run", resume: .auto) }
    #expect(error?.kind == .data && error?.isAgreed == true)
    #expect(error?.description.contains("replicated.qck, tensor '") == true)
    let path = "\(folder.path)/run/checkpoints/step-000002"
    let named = #expect(throws: TrainingError.self) { try run.execute(ranks, name: "run", resume: .path(path)) }
    #expect(named?.description.contains("step-000002/replicated.qck") == true)
  }

  @Test("Another model, other prompts or another phase are rejected with the key and a remedy")
  func refused() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    try tiny(folder) { $0.rl.numEpochs = 1 }.execute(ranks, name: "run")
    func refusal(_ phase: RunPhase = .train, _ change: (inout RunConfiguration) -> Void) throws -> String {
      let run = try tiny(folder, change)
      let error = #expect(throws: TrainingError.self) {
        try run.execute(ranks, name: "run", phase: phase, resume: .auto)
      }
      #expect(error?.kind == .configuration && error?.isAgreed == true)
      return error?.description ?? ""
    }
    #expect(try refusal { $0.model.expertDim = 48 }.hasPrefix("model.expert_dim is 48"))
    #expect(try refusal { $0.rl.seed = 9 }.hasPrefix("rl.seed is 9"))
    #expect(try refusal { $0.rl.batchSize = 7 }.contains("--weights"))
    #expect(try refusal(.pretrain) { _ in }.contains("checkpoint of 'train', but this run is 'pretrain'"))
    // Settings that may change take effect.
    let changed = try tiny(folder) {
      $0.rl.numEpochs = 2
      $0.rl.learningRate = 1e-3
    }
    let outcome = try changed.execute(ranks, name: "run", resume: .auto)
    #expect(outcome.steps == 2)
  }

  @Test("Weights are loaded from a checkpoint, and without anything to resume from a new run starts")
  func weights() throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    let run = try tiny(folder) { $0.rl.numEpochs = 2 }
    let outcome = try run.execute(ranks, name: "run", resume: .auto)
    #expect(outcome.steps == 2)
    let assembly = try run.assembly(ranks)
    let saved = try assembly.masters(weights: "\(folder.path)/run/checkpoints/step-000002", whole: true)
    let written = try assembly.masters(weights: "\(folder.path)/run/weights.safetensors", whole: true)
    #expect(Fingerprint.of(saved) == Fingerprint.of(written))
    let error = #expect(throws: TrainingError.self) {
      try run.execute(ranks, name: "run", resume: .path("\(folder.path)/nowhere"))
    }
    #expect(error?.description.contains("does not contain a checkpoint") == true)
  }
}
