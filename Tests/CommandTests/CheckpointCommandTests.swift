import Foundation
import TestSupport
import Testing

/// Checkpoints written by the program: stopping, resuming, tools, failures of the environment.
@Suite("Checkpoints", .serialized) struct CheckpointCommandTests {
  /// Options for the quickstart with a small model, in a separate folder.
  private func options(_ folder: TemporaryFolder, _ more: String...) -> [String] {
    let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent().path
    let settings = [
      "logging.directory=\(folder.path("runs"))", "logging.every=1", "rl.batch_size=2",
      "rl.warmup_steps=0", "evaluation.count=2", "evaluation.every=0", "parallel.threads=1",
      // Fixed sizes, because file sizes matter below.
      "model.dim=64", "model.expert_dim=128", "model.overseer_dim=256", "model.int4_group=64",
    ]
    return ["--config", "\(root)/configs/quickstart.yaml", "--name", "run"]
      + (settings + UnevenRewards.settings + more).flatMap { ["--set", $0] }
  }

  private func run(_ arguments: [String]) throws -> Program.Outcome { try Program.execute([Program.path] + arguments) }

  private func steps(_ folder: TemporaryFolder) throws -> [Int] {
    try folder.text("runs/run/metrics.jsonl").split(separator: "\n").compactMap { line in
      line.range(of: "\"step\":").flatMap { Int(line[$0.upperBound...].prefix { $0.isNumber }) }
    }
  }

  @Test("A signal to mpirun ends the run with exit code 75 and a checkpoint, and --resume continues the run")
  func stopAndResume() throws {
    let folder = try TemporaryFolder()
    let arguments = ["train"] + options(folder, "rl.num_epochs=100000", "checkpoint.every=0") + ["--resume", "auto"]
    var last = 0
    for _ in 0..<2 {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      // Test threads block signals, and child processes inherit the mask.
      process.arguments =
        ["--default-signal=USR1", "mpirun", "--oversubscribe", "-n", "2", try Program.path] + arguments
      process.environment = Program.environment
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      process.standardError = try folder.handle("errors")
      try process.run()
      let deadline = Date().addingTimeInterval(60)
      while process.isRunning, Date() < deadline, ((try? steps(folder).last) ?? 0) < last + 3 { usleep(20_000) }
      kill(process.processIdentifier, SIGUSR1)
      while process.isRunning, Date() < deadline { usleep(20_000) }
      if process.isRunning { kill(process.processIdentifier, SIGKILL) }
      process.waitUntilExit()
      let errors = try folder.text("errors")
      #expect(process.terminationStatus == 75, "\(errors)")
      let done = try steps(folder)
      // The evaluation before the first step is line 0.
      #expect(done == [0] + Array(1...(done.last ?? 1)))
      #expect((done.last ?? 0) >= last + 3)
      last = done.last ?? 0
      #expect(try folder.text("runs/run/checkpoints/latest").hasSuffix("\(last)\n"))
    }
  }

  @Test("inspect, verify, diff and convert work on whole checkpoints, and verify ends with 3 on a damaged one")
  func tools() throws {
    let folder = try TemporaryFolder()
    let trained = try run(["train"] + options(folder, "rl.num_epochs=2", "checkpoint.every=1"))
    #expect(trained.status == 0)
    let whole = folder.path("runs/run")
    let inspected = try Program.run("checkpoint", "inspect", whole)
    #expect(inspected.status == 0 && inspected.output.contains("train, step 2"))
    #expect(try Program.run("checkpoint", "inspect", whole, "--json").output.hasPrefix("{\"configuration") == false)
    #expect(try Program.run("checkpoint", "verify", whole).output.contains("whole; "))
    let first = folder.path("runs/run/checkpoints/step-000001")
    let differing = try Program.run("checkpoint", "diff", first, whole)
    #expect(differing.status == 1 && differing.output.contains("largest difference"))
    #expect(try Program.run("checkpoint", "convert", whole, folder.path("one"), "--consolidated").status == 0)
    let same = try Program.run("checkpoint", "diff", whole, folder.path("one"))
    #expect(same.status == 0 && same.output.hasPrefix("identical"))
    #expect(try Program.run("checkpoint", "convert", whole, folder.path("w.safetensors")).status == 0)
    #expect(
      FileManager.default.contents(atPath: folder.path("w.safetensors"))?.count
        == FileManager.default.contents(atPath: folder.path("runs/run/weights.safetensors"))?.count)

    let shard = folder.path("one/model.qck")
    var bytes = try Data(contentsOf: URL(fileURLWithPath: shard))
    bytes[bytes.count / 3] ^= 4
    try bytes.write(to: URL(fileURLWithPath: shard))
    let damaged = try Program.run("checkpoint", "verify", folder.path("one"))
    #expect(damaged.status == 3 && damaged.messages.count == 1)
    #expect(damaged.messages.first?.contains("one/model.qck, tensor '") == true)
    #expect(try Program.run("checkpoint", "inspect", folder.path("nothing")).status == 1)
    let started = try run(
      ["train"] + options(folder, "rl.num_epochs=1", "checkpoint.weights=\(folder.path("one"))"))
    #expect(started.status == 3)
  }

  @Test("A full disk fails the save but not the run, unless on_error is stop")
  func fullDisk() throws {
    for policy in ["continue", "stop"] {
      let folder = try TemporaryFolder()
      let arguments =
        ["train"] + options(folder, "rl.num_epochs=3", "checkpoint.every=1", "checkpoint.on_error=\(policy)")
      // A file size limit simulates the full disk: masters fit, masters with moments do not.
      let command = "trap '' XFSZ; ulimit -f 2300; exec \"$@\""
      let outcome = try Program.execute(["/bin/bash", "-c", command, "limited", try Program.path] + arguments)
      #expect(outcome.status == (policy == "continue" ? 0 : 1))
      #expect(outcome.errors.contains("free some space"))
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("runs/run/checkpoints"))
      #expect(names == [])
      // A failed save is noticed after the step during which it failed.
      let last = try steps(folder).last ?? 0
      #expect(policy == "continue" ? last == 3 : last < 3)
    }
  }
}
