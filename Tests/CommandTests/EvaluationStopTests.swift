import Foundation
import TestSupport
import Testing

/// A stop signal does not wait for the end of an evaluation.
@Suite("Stops during an evaluation", .serialized) struct EvaluationStopTests {
  /// The quickstart in small, in a folder of its own.
  private func command(_ folder: TemporaryFolder, steps: Int, _ more: String...) throws -> [String] {
    let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent().path
    let settings = [
      "logging.directory=\(folder.path("runs"))", "logging.every=1", "rl.batch_size=2", "rl.warmup_steps=0",
      "rl.num_epochs=\(steps)", "parallel.threads=1", "checkpoint.every=0",
    ]
    return [
      try Program.path, "train", "--config", "\(root)/configs/quickstart.yaml", "--name", "run", "--resume", "auto",
    ] + (settings + UnevenRewards.settings + more).flatMap { ["--set", $0] }
  }

  /// What makes an evaluation last for minutes, and for an instant.
  private let long = ["evaluation.count=1000", "evaluation.samples=1000"]
  private let short = ["evaluation.count=2", "evaluation.samples=0"]

  /// The steps of the lines of metrics that are evaluations.
  private func evaluations(_ folder: TemporaryFolder) throws -> [Int] {
    try folder.text("runs/run/metrics.jsonl").split(separator: "\n").filter { $0.contains("\"eval/") }.compactMap {
      line in line.range(of: "\"step\":").flatMap { Int(line[$0.upperBound...].prefix { $0.isNumber }) }
    }
  }

  /// Starts the command on two ranks, waits until `isReached`, stops it, and returns the seconds until it has ended.
  private func stop(_ folder: TemporaryFolder, _ command: [String], once isReached: () -> Bool) throws -> Double {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    // The threads of tests block signals, and a process inherits that.
    process.arguments = ["--default-signal=USR1", "mpirun", "--oversubscribe", "-n", "2"] + command
    process.environment = Program.environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = try folder.handle("errors")
    try process.run()
    let deadline = Date().addingTimeInterval(60)
    while process.isRunning, Date() < deadline, !isReached() { usleep(20_000) }
    // Into the evaluation.
    usleep(1_000_000)
    let signalled = Date()
    kill(process.processIdentifier, SIGUSR1)
    while process.isRunning, Date() < signalled + 30 { usleep(20_000) }
    let seconds = Date().timeIntervalSince(signalled)
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    let errors = try folder.text("errors")
    #expect(process.terminationStatus == 75, "\(errors)")
    return seconds
  }

  private func latest(_ folder: TemporaryFolder) throws -> String { try folder.text("runs/run/checkpoints/latest") }

  @Test("A stop during the first evaluation saves step 0, and the run that goes on makes the evaluation first")
  func first() throws {
    let folder = try TemporaryFolder()
    let seconds = try stop(folder, command(folder, steps: 2, "evaluation.every=0") + long.flatMap { ["--set", $0] }) {
      FileManager.default.fileExists(atPath: folder.path("runs/run/metrics.jsonl"))
    }
    #expect(seconds < 15)
    #expect(try latest(folder) == "step-000000\n")
    #expect(try evaluations(folder) == [])
    let resumed = try Program.execute(
      command(folder, steps: 2, "evaluation.every=0") + short.flatMap { ["--set", $0] })
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(try evaluations(folder) == [0, 2])
  }

  @Test("A stop during a later evaluation saves its step, and the run that goes on has that evaluation once")
  func later() throws {
    let folder = try TemporaryFolder()
    // The first evaluation is short.
    let begun = try Program.execute(
      command(folder, steps: 1, "evaluation.every=0", "checkpoint.every=1") + short.flatMap { ["--set", $0] })
    #expect(begun.status == 0, "\(begun.errors)")
    #expect(try evaluations(folder) == [0, 1])
    let arguments = try command(folder, steps: 3, "evaluation.every=2")
    let seconds = try stop(folder, arguments + long.flatMap { ["--set", $0] }) {
      (try? folder.text("runs/run/metrics.jsonl"))?.contains("\"step\":2,") == true
    }
    #expect(seconds < 15)
    #expect(try latest(folder) == "step-000002\n")
    #expect(try evaluations(folder) == [0, 1])
    let counters = try Program.run("checkpoint", "inspect", folder.path("runs/run"), "--json").output
    #expect(counters.contains("evaluation_due"))
    for _ in 0..<2 {
      let resumed = try Program.execute(arguments + short.flatMap { ["--set", $0] })
      #expect(resumed.status == 0, "\(resumed.errors)")
      #expect(try evaluations(folder) == [0, 1, 2, 3])
    }
  }
}
