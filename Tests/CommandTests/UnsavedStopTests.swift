import Foundation
import TestSupport
import Testing

/// Exit code 75 promises a checkpoint.
@Suite("Stops that cannot be saved", .serialized) struct UnsavedStopTests {
  @Test(
    "A stop whose checkpoint cannot be written gives one line and exit code 1, on 1 and 2 ranks", arguments: [1, 2])
  func unsaved(ranks: Int) throws {
    let folder = try TemporaryFolder()
    let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent().path
    let settings = [
      "logging.directory=\(folder.path("runs"))", "logging.every=1", "rl.batch_size=2", "rl.num_trajectories=2",
      "rl.num_epochs=100000", "evaluation.count=2", "evaluation.every=0", "parallel.threads=1", "checkpoint.every=0",
    ]
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    // Test threads block signals, and child processes inherit the mask.
    let launcher = ranks == 1 ? [] : ["mpirun", "--oversubscribe", "-n", "\(ranks)"]
    process.arguments =
      ["--default-signal=USR1"] + launcher
      + [try Program.path, "train", "--config", "\(root)/configs/quickstart.yaml", "--name", "run"]
      + settings.flatMap { ["--set", $0] }
    process.environment = Program.environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = try folder.handle("errors")
    try process.run()
    let deadline = Date().addingTimeInterval(60)
    func hasBegun() -> Bool { (try? folder.text("runs/run/metrics.jsonl"))?.contains("\"step\":1,") == true }
    while process.isRunning, Date() < deadline, !hasBegun() { usleep(20_000) }
    _ = try folder.write("runs/run/checkpoints", Data("in the way".utf8))
    kill(process.processIdentifier, SIGUSR1)
    while process.isRunning, Date() < deadline { usleep(20_000) }
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    let errors = try folder.text("errors")
    #expect(process.terminationStatus == 1, "\(errors)")
    #expect(errors.contains("the run was stopped, but its last steps could not be saved: "), "\(errors)")
    #expect(try folder.text("runs/run/checkpoints") == "in the way")
  }
}
