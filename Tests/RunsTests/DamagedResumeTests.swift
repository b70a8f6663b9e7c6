import Foundation
import MPI
import Testing
import Training
import TrainingSupport

/// If any file of a checkpoint is damaged, all ranks resume from the previous one, whichever rank reads the file. Also
/// on several ranks: `mpirun -n 2 <test bundle> … --filter DamagedResumeTests`.
@Suite(.serialized) struct DamagedResumeTests {
  /// Settings that change the files of a checkpoint.
  enum Layout: CaseIterable {
    /// Two updates per rollout.
    case miniBatches
    /// Two epochs per rollout, moments divided among the ranks, an old policy and a reference.
    case passes
    /// Different mini-MoEs on each rank, and an old policy whose publications send differences.
    case experts
    /// 8-bit moments.
    case codes

    func change(_ configuration: inout RunConfiguration, ranks: Int) {
      switch self {
      case .miniBatches: configuration.rl.miniBatches = 2
      case .passes:
        configuration.rl.ppoEpochs = 2
        configuration.rl.oldPolicyInterval = 2
        configuration.rl.objective.klCoef = 0.1
        configuration.optimizer.shard = true
      case .experts:
        configuration.model.numMiniMoes = 4
        configuration.parallel.expert = ranks == 1 ? 1 : 2
        configuration.rl.oldPolicyInterval = 2
        configuration.rl.miniBatches = 2
      case .codes:
        configuration.optimizer.state = .int8
        configuration.rl.miniBatches = 2
      }
    }
  }

  @Test(
    "After a flipped byte in any file, all ranks resume from the previous checkpoint with the same bits",
    arguments: Layout.allCases)
  func everyFile(layout: Layout) throws {
    let ranks = try Ranks.together()
    let folder = try SharedFolder(ranks)
    let run = try TinyRun {
      $0.rl.numEpochs = 3
      $0.evaluation.count = 2
      $0.evaluation.every = 0
      $0.checkpoint.every = 1
      $0.checkpoint.keep = 20
      $0.logging.every = 1
      $0.logging.directory = folder.path
      layout.change(&$0, ranks: ranks.size)
    }
    try run.execute(ranks, name: "run")
    let weights = folder.bytes("run/weights.safetensors")
    let newest = "\(folder.path)/run/checkpoints/step-000003"
    let files = try FileManager.default.contentsOfDirectory(atPath: newest).sorted()
    #expect(files.contains("manifest.json") && files.count >= 3)
    try ranks.barrier()
    for file in files {
      for isMissing in [false, true] {
        if ranks.rank == 0 {
          let manager = FileManager.default
          try manager.copyItem(atPath: "\(folder.path)/run", toPath: "\(folder.path)/part")
          try manager.removeItem(atPath: "\(folder.path)/part/weights.safetensors")
          let path = "\(folder.path)/part/checkpoints/step-000003/\(file)"
          if isMissing {
            try manager.removeItem(atPath: path)
          } else {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count - 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
          }
        }
        try ranks.barrier()
        let outcome = try run.execute(ranks, name: "part", resume: .auto)
        #expect(outcome.steps == 3, "\(file)")
        #expect(folder.bytes("part/weights.safetensors") == weights, "\(file)")
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/part/checkpoints").sorted()
        #expect(
          names == ["latest", "step-000001", "step-000002", "step-000003", "step-000003-2"], "\(file): \(names)")
        try folder.remove("part")
      }
    }
  }
}
