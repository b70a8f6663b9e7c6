import Foundation
import TestSupport
import Testing

@Suite("Launchers of other MPIs") struct LauncherTests {
  private static let recipe = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("configs/quickstart.yaml").path

  /// Starts a run as process `rank` of `size`, as MPICH's launcher does.
  private func start(_ rank: Int, of size: Int, in folder: TemporaryFolder) throws -> Program.Outcome {
    try Program.execute([
      "/usr/bin/env", "-C", folder.url.path, "PMI_RANK=\(rank)", "PMI_SIZE=\(size)", Program.path, "train", "--config",
      Self.recipe, "--set", "rl.num_epochs=1", "--set", "rl.batch_size=2", "--set", "rl.num_trajectories=2", "--set",
      "evaluation.count=1", "--set", "rl.warmup_steps=0",
    ])
  }

  @Test("Several processes that are not ranks of one run end with code 2 and one line, and write nothing")
  func several() throws {
    let folder = try TemporaryFolder()
    let first = try start(0, of: 2, in: folder)
    #expect(first.status == 2 && first.messages.count == 1, "\(first.errors)")
    #expect(first.errors.contains("has started 2 processes") && first.errors.contains("mpirun.openmpi"))
    let second = try start(1, of: 2, in: folder)
    #expect(second.status == 2 && second.messages.isEmpty, "\(second.errors)")
    #expect(try folder.names.isEmpty)
  }

  @Test("A single process of another launcher is a run")
  func single() throws {
    let folder = try TemporaryFolder()
    #expect(try start(0, of: 1, in: folder).status == 0)
    #expect(try folder.names == ["runs"])
  }
}
