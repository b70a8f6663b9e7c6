import Foundation
import TestSupport
import Testing

/// `quillan debug replay` on runs of a reduced quickstart.
@Suite("Replay command", .serialized) struct ReplayCommandTests {
  private struct Report: Decodable {
    let start: Int
    let ranks: Int
    let expert: Int
    let compared: Int
    let same_bits: Bool
  }

  /// Three steps in `runs/run`.
  private func train(_ folder: TemporaryFolder, ranks: Int, _ more: String..., weights: String? = nil) throws {
    let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent().path
    let settings = [
      "logging.directory=\(folder.path("runs"))", "rl.batch_size=2", "rl.num_epochs=3",
      "rl.warmup_steps=0", "evaluation.count=2", "evaluation.every=0", "parallel.threads=1", "checkpoint.every=2",
      "model.dim=32", "model.expert_dim=64", "model.overseer_dim=64", "model.int4_group=32",
    ]
    let command = ["/usr/bin/env", "mpirun", "--oversubscribe", "-n", "\(ranks)", try Program.path, "train"]
    let outcome = try Program.execute(
      command + ["--config", "\(root)/configs/quickstart.yaml", "--name", "run"]
        + (settings + UnevenRewards.settings + more).flatMap { ["--set", $0] }
        + (weights.map { ["--weights", $0] } ?? []), seconds: 120)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  @Test("A step of two ranks is bit-identical on one process, and a metric that differs is listed with exit code 1")
  func replay() throws {
    let folder = try TemporaryFolder()
    try train(folder, ranks: 2, "parallel.expert=2", "parallel.reproducible=true")
    let run = folder.path("runs/run")
    let before = try FileManager.default.subpathsOfDirectory(atPath: run).sorted()
    let outcome = try Program.run(
      "debug", "replay", run, "--step", "3", "--tokens", folder.path("tokens.txt"), "--tensors", "gradients.layers.*",
      "--tensors", "activations.*.hidden", "-o", folder.path("step.safetensors"))
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("same bits: all "))
    #expect(outcome.output.contains("checkpoints/step-000002, step 2"))
    #expect(try folder.text("tokens.txt").contains("mini-MoEs by layer"))
    let tensors = try SafetensorsContent(URL(fileURLWithPath: folder.path("step.safetensors"))).tensors.keys
    #expect(tensors.contains("gradients.layers.1.router.weight"))
    #expect(tensors.contains { $0.hasPrefix("activations.") && $0.hasSuffix(".hidden") })

    let json = try Program.run("debug", "replay", "\(run)/", "--step", "3", "--json", "--threads", "2")
    #expect(json.status == 0)
    let report = try JSONDecoder().decode(Report.self, from: Data(json.output.utf8))
    #expect(report.same_bits && report.compared > 10 && report.start == 2)
    #expect(report.ranks == 2 && report.expert == 2)
    #expect(try FileManager.default.subpathsOfDirectory(atPath: run).sorted() == before)

    let path = "\(run)/metrics.jsonl"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try text.replacing("\"loss/aux\":", with: "\"loss/aux\":1").write(toFile: path, atomically: true, encoding: .utf8)
    let altered = try Program.run("debug", "replay", run, "--step", "3", "--tokens", "-")
    #expect(altered.status == 1)
    #expect(altered.output.contains("\nloss/aux "))
    #expect(altered.output.contains("1 of \(report.compared) metrics differ, though the run is reproducible"))
    #expect(altered.output.contains("old logp"))
  }

  @Test("The weights given on the command line are recorded, so that the first step can be replayed")
  func weights() throws {
    let folder = try TemporaryFolder()
    try train(folder, ranks: 1)
    try FileManager.default.moveItem(atPath: folder.path("runs/run"), toPath: folder.path("runs/first"))
    try train(folder, ranks: 1, weights: folder.path("runs/first/weights.safetensors"))
    #expect(try folder.text("runs/run/config.yaml").contains("first/weights.safetensors"))
    let replayed = try Program.run("debug", "replay", folder.path("runs/run"), "--step", "1")
    #expect(replayed.status == 0 && replayed.output.contains("the run's first weights"), "\(replayed.output)")
  }

  @Test("A step that cannot be replayed gives one line with a remedy")
  func faults() throws {
    let folder = try TemporaryFolder()
    let nowhere = try Program.run("debug", "replay", folder.path("none"), "--step", "3")
    #expect(nowhere.status == 1 && nowhere.messages.count == 1)
    #expect(nowhere.errors.contains("not the directory of a run"))
    #expect(try Program.run("debug", "replay", folder.path("none"), "--step", "0").status == 2)
    let half = try Program.run("debug", "replay", folder.path("none"), "--step", "1", "--tensors", "weights.*")
    #expect(half.status == 2 && half.errors.contains("--output"))
    try train(folder, ranks: 1)
    let late = try Program.run("debug", "replay", folder.path("runs/run"), "--step", "9")
    #expect(late.status == 2 && late.errors.contains("the last on record is step 3"))
  }
}
