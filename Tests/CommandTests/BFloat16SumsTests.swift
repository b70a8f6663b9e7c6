import Foundation
import TestSupport
import Testing

/// `precision.bf16_sums` in runs of a reduced quickstart.
@Suite("Order of bfloat16 sums", .serialized) struct BFloat16SumsTests {
  private func train(
    _ folder: TemporaryFolder, _ name: String, ranks: Int = 1, steps: Int = 2, set: String = "", tiles: Bool = false,
    _ more: String...
  ) throws -> Program.Outcome {
    let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent().path
    let settings =
      [
        "logging.directory=\(folder.path("runs"))", "rl.batch_size=2", "rl.num_epochs=\(steps)",
        "rl.warmup_steps=0", "evaluation.count=2", "evaluation.every=0", "parallel.threads=1", "checkpoint.every=1",
        "parallel.reproducible=true", "model.dim=32", "model.expert_dim=64", "model.overseer_dim=64",
        "model.int4_group=32", "precision.head=bf16",
      ] + UnevenRewards.settings + (set.isEmpty ? [] : ["precision.bf16_sums=\(set)"])
    let launcher = ["/usr/bin/env"] + (tiles ? ["QUILLAN_ISA=amx-emulated"] : ["QUILLAN_ISA=portable"])
    return try Program.execute(
      launcher + ["mpirun", "--oversubscribe", "-n", "\(ranks)", try Program.path, "train"]
        + ["--config", "\(root)/configs/quickstart.yaml", "--name", name] + settings.flatMap { ["--set", $0] } + more,
      seconds: 180)
  }

  private func recorded(_ folder: TemporaryFolder, _ name: String) throws -> String? {
    try folder.text("runs/\(name)/config.yaml").split(separator: "\n").first { $0.hasPrefix("  bf16_sums:") }
      .map { $0.dropFirst("  bf16_sums: ".count).trimmingCharacters(in: .whitespaces) }
  }

  private func content(_ folder: TemporaryFolder, _ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: folder.path("runs/\(name)/weights.safetensors")))
  }

  @Test("auto is pairs without tiles and tiles with them; each order has its own bits, the same on every machine")
  func orders() throws {
    let folder = try TemporaryFolder()
    let runs: [(name: String, set: String, tiles: Bool, expected: String)] = [
      ("auto-pairs", "", false, "pairs"), ("auto-tiles", "auto", true, "tiles"), ("tiles", "tiles", false, "tiles"),
      ("pairs", "pairs", true, "pairs"),
    ]
    for run in runs {
      let outcome = try train(folder, run.name, set: run.set, tiles: run.tiles)
      #expect(outcome.status == 0, "\(run.name): \(outcome.errors)")
      #expect(try recorded(folder, run.name) == run.expected)
    }
    #expect(try content(folder, "auto-tiles") == content(folder, "tiles"))
    #expect(try content(folder, "auto-pairs") == content(folder, "pairs"))
    #expect(try content(folder, "tiles") != content(folder, "pairs"))
  }

  @Test("A resumed run keeps its order on another machine, replay repeats it, and another order is refused")
  func resume() throws {
    let folder = try TemporaryFolder()
    #expect(try train(folder, "run", steps: 3, tiles: true).status == 0)
    let whole = try content(folder, "run")
    let checkpoint = folder.path("runs/run/checkpoints/step-000002")
    let other = try train(folder, "run", steps: 3, set: "pairs", "--resume", checkpoint)
    #expect(other.status == 2, "\(other.errors)")
    #expect(other.messages.contains { $0.contains("precision.bf16_sums is pairs, but the checkpoint ") })
    let resumed = try train(folder, "run", ranks: 2, steps: 3, "--resume", checkpoint)
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(try recorded(folder, "run") == "tiles")
    #expect(try content(folder, "run") == whole)
    let replay = try Program.run("debug", "replay", folder.path("runs/run"), "--step", "3")
    #expect(replay.status == 0, "\(replay.output)\(replay.errors)")
    // A packed model records the order, too.
    let packed = try Program.run("quantize", folder.path("runs/run"), "-o", folder.path("packed"))
    #expect(packed.status == 0, "\(packed.errors)")
    let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path("packed")))
    #expect(bytes.range(of: Data("\"bf16_sums\":\"tiles\"".utf8)) != nil)
  }

  @Test("Kernels that the machine lacks are refused, and environment names the choice")
  func variables() throws {
    func environment(_ variable: String) throws -> Program.Outcome {
      try Program.execute(["/usr/bin/env", variable, try Program.path, "debug", "environment"], seconds: 60)
    }
    for variable in ["QUILLAN_BF16_DOT=abacus", "QUILLAN_ISA=abacus"] {
      let outcome = try environment(variable)
      #expect(outcome.status == 2)
      #expect(outcome.messages.count == 1 && outcome.errors.contains("is 'abacus', but this machine supports "))
    }
    let fma = try environment("QUILLAN_BF16_DOT=fma")
    #expect(fma.status == 0 && fma.output.contains("bf16 dot products") && fma.output.contains("amx-emulated"))
  }
}
