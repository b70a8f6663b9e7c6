import Foundation
import TestSupport
import Testing

@Suite("quillan quickstart", .serialized) struct QuickstartTests {
  private static let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent().path
  /// The quickstart in a few steps, on one rank.
  private static let short =
    ["--ranks", "1"]
    + [
      "model.dim=32", "pretrain.steps=2", "pretrain.batch_size=4", "pretrain.eval_every=0", "pretrain.warmup_steps=1",
      "rl.num_epochs=2", "rl.batch_size=2", "rl.num_trajectories=2", "rl.warmup_steps=0", "evaluation.count=4",
      "evaluation.every=0",
    ].flatMap { ["--set", $0] }

  /// Runs a program in a folder.
  private func run(_ program: String, _ arguments: [String], in folder: TemporaryFolder) throws -> Program.Outcome {
    try Program.execute(["/usr/bin/env", "-C", folder.url.path, program, "quickstart"] + arguments, seconds: 120)
  }

  /// The program, copied to `lib/quillan` of a prefix with a link in `bin`, as packages install it.
  private func installed(in prefix: TemporaryFolder) throws -> String {
    let files = FileManager.default
    for folder in ["bin", "lib/quillan", "share/quillan"] {
      try files.createDirectory(atPath: prefix.path(folder), withIntermediateDirectories: true)
    }
    try files.copyItem(atPath: Program.path, toPath: prefix.path("lib/quillan/quillan"))
    try files.createSymbolicLink(atPath: prefix.path("bin/quillan"), withDestinationPath: "../lib/quillan/quillan")
    return prefix.path("bin/quillan")
  }

  @Test("An installed program finds its recipe and runs both phases in the current folder")
  func installed() throws {
    let prefix = try TemporaryFolder()
    let folder = try TemporaryFolder()
    let program = try installed(in: prefix)
    for name in ["launch", "configs"] {
      try FileManager.default.copyItem(atPath: "\(Self.root)/\(name)", toPath: prefix.path("share/quillan/\(name)"))
    }
    let outcome = try run(program, Self.short, in: folder)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let runs = try FileManager.default.contentsOfDirectory(atPath: folder.path("runs")).sorted()
    try #require(runs.count == 2)
    #expect(runs[1] == "\(runs[0])-pretrain" && runs[0].hasPrefix("quickstart-"))
    for name in runs {
      #expect(FileManager.default.fileExists(atPath: folder.path("runs/\(name)/weights.safetensors")))
    }
    let resolved = try String(contentsOfFile: folder.path("runs/\(runs[0])/config.yaml"), encoding: .utf8)
    #expect(resolved.contains("num_epochs: 2") && resolved.contains("\(runs[1])/weights.safetensors"))
  }

  @Test("A program without its scripts says so in one line")
  func incomplete() throws {
    let prefix = try TemporaryFolder()
    let outcome = try run(installed(in: prefix), [], in: prefix)
    #expect(outcome.status == 1 && outcome.messages.count == 1)
    #expect(outcome.errors.contains("launch scripts and recipes were not found"), "\(outcome.errors)")
  }

  @Test(
    "Wrong usage ends with one line and code 2, before a run begins",
    arguments: [
      (["--ranks", "0"], "--ranks must be from 1 to 9999, got 0"),
      (["--ranks", "two"], "'--ranks"),
      (["--set", "rl.bath_size=3"], "rl.batch_size"),
    ])
  func usage(arguments: [String], part: String) throws {
    let folder = try TemporaryFolder()
    let outcome = try run(Program.path, arguments, in: folder)
    #expect(outcome.status == 2 && outcome.messages.count == 1 && outcome.errors.contains(part), "\(outcome.errors)")
    #expect(try folder.names.isEmpty)
  }
}
