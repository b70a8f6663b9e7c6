import Foundation
import Testing

/// The end of a run, and the commands that it suggests.
@Suite("The end of a run", .serialized)
struct RunEndTests {
  private static let sizes = [
    "model.dim=16", "model.num_heads=2", "model.num_mini_moes=2", "model.expert_dim=32", "model.overseer_dim=32",
    "model.diffusion_dim=16", "model.int4_group=16", "rl.batch_size=2", "rl.num_trajectories=2", "rl.warmup_steps=0",
    "evaluation.count=4", "evaluation.every=0", "parallel.threads=1",
  ]

  private func arguments(_ command: String, _ folder: TemporaryFolder, steps: Int) -> [String] {
    let keys =
      Self.sizes + ["logging.directory=\(folder.path("my runs"))", "rl.num_epochs=\(steps)", "pretrain.steps=\(steps)"]
    return [command, "--config", "configs/quickstart.yaml", "--name", "run"] + keys.flatMap { ["--set", $0] }
  }

  /// The command after a word at the start of a line.
  private func command(_ word: String, in output: String) -> String? {
    output.split(separator: "\n").first { $0.hasPrefix("\(word) ") }
      .map { $0.dropFirst(word.count).trimmingCharacters(in: .whitespaces) }
  }

  @Test(
    "SIGINT and SIGTERM finish the step, save, exit with 75 and print the command that resumes",
    arguments: [SIGINT, SIGTERM])
  func interrupt(signal: Int32) throws {
    let folder = try TemporaryFolder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try Program.path)
    process.arguments = arguments("train", folder, steps: 100_000)
    process.environment = Program.environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try folder.handle("output")
    process.standardError = try folder.handle("errors")
    try process.run()
    let metrics = folder.path("my runs/run/metrics.jsonl")
    func steps() -> Int {
      let text = (try? String(contentsOfFile: metrics, encoding: .utf8)) ?? ""
      return text.split(separator: "\n").count { $0.contains("\"loss\"") }
    }
    let deadline = Date().addingTimeInterval(60)
    while steps() < 2, process.isRunning, Date() < deadline { usleep(5000) }
    kill(process.processIdentifier, signal)
    let end = Date().addingTimeInterval(60)
    while process.isRunning, Date() < end { usleep(5000) }
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    let errors = try folder.text("errors")
    #expect(process.terminationReason == .exit && process.terminationStatus == 75, "\(errors)")
    #expect(errors.contains("stopping after this step"))
    let resuming = try #require(command("go on", in: try folder.text("output")))
    let done = steps()
    // The printed command, with a nearer end.
    let again = try Program.execute(
      ["/bin/sh", "-c", "\(resuming) --set rl.num_epochs=\(done + 2)"], seconds: 60)
    #expect(again.status == 0, "\(again.errors)")
    #expect(again.errors.contains("step \(done)") && steps() == done + 2)
  }

  @Test("A finished run prints commands to generate and to train with its weights, and both work")
  func finished() throws {
    let folder = try TemporaryFolder()
    let outcome = try Program.execute([Program.path] + arguments("pretrain", folder, steps: 1))
    #expect(outcome.status == 0, "\(outcome.errors)")
    let asking = try #require(command("ask", in: outcome.output))
    let answer = try Program.execute(
      ["/bin/sh", "-c", asking.replacingOccurrences(of: "PROMPT", with: "1+1= --max-tokens 2")])
    #expect(answer.status == 0, "\(answer.errors)")
    let training = try #require(command("train", in: outcome.output))
    #expect(training.contains("'\(folder.path("my runs/run"))'"))
    let trained = try Program.execute(["/bin/sh", "-c", "\(training) --name after"])
    #expect(trained.status == 0, "\(trained.errors)")
    #expect(FileManager.default.fileExists(atPath: folder.path("my runs/after/weights.safetensors")))
  }

  @Test("evaluate reads a run, requires weights, and writes and prints completions")
  func evaluate() throws {
    let folder = try TemporaryFolder()
    #expect(try Program.execute([Program.path] + arguments("train", folder, steps: 1)).status == 0)
    let without = Array(arguments("evaluate", folder, steps: 1).filter { $0 != "--name" && $0 != "run" })
    let refused = try Program.execute([Program.path] + without)
    #expect(refused.status == 2 && refused.messages.first?.contains("--untrained") == true, "\(refused.errors)")
    #expect(try Program.execute([Program.path] + without + ["--untrained"]).status == 0)

    let run = folder.path("my runs/run")
    let file = folder.path("completions.jsonl")
    let outcome = try Program.execute(
      ["/usr/bin/env", "mpirun", "--oversubscribe", "-n", "2", try Program.path] + without
        + ["--weights", run, "--samples", "2", "--output", file], seconds: 120)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("completion") && outcome.output.contains("sampled"))
    let lines = try folder.text("completions.jsonl").split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(lines[0]["format"] as? String == "quillan-completions" && lines[0]["version"] as? Int == 1)
    #expect(
      lines.dropFirst().map { $0["mode"] as? String } == [String](repeating: "greedy", count: 4)
        + [String](repeating: "sampled", count: 8))
    #expect(lines.dropFirst(5).map { $0["sample"] as? Int } == [0, 1, 0, 1, 0, 1, 0, 1])
    let json = try Program.execute([Program.path] + without + ["--weights", run, "--json"])
    let report = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    let task = try #require((report["tasks"] as? [[String: Any]])?.first)
    let rewards = lines[1...4].compactMap { $0["reward"] as? Double }
    #expect(abs((task["reward"] as? Double ?? -1) - rewards.reduce(0, +) / 4) < 1e-9)
    // The run's checkpoint gives the same result as its weights.
    let checkpoint = try Program.execute([Program.path] + without + ["--weights", run + "/", "--json"])
    #expect(checkpoint.output == json.output)
  }
}
