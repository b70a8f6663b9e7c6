import Foundation
import Tensors
import Testing
import TestSupport

@Suite("Bench", .serialized)
struct BenchTests {
  private struct Kernels: Decodable {
    struct Row: Decodable {
      let operation: String
      let seconds: Double
    }

    let rows: [Row]
  }

  private struct Messages: Decodable {
    struct Row: Decodable {
      let bytes: Int
      let ratio: Double
    }

    let ranks: Int
    let rows: [Row]
  }

  @Test("bench kernels times every number format")
  func kernels() throws {
    let outcome = try Program.run("bench", "kernels", "--seconds", "0.001", "--json", seconds: 120)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let rows = try JSONDecoder().decode(Kernels.self, from: Data(outcome.output.utf8)).rows
    for format in ["fp32", "fp16", "bf16", "ternary", "int4", "int8"] {
      #expect(rows.contains { $0.operation == "\(format) 16×1024×512" }, "\(format)")
    }
    #expect(rows.contains { $0.operation == "bf16 in tiles 16×1024×512" })
    // Processors without bfloat16 dot products have nothing to compare.
    let environment = try Program.run("debug", "environment").output
    #expect(
      rows.contains { $0.operation == "bf16 by dot products 16×1024×512" } == environment.contains("avx512bf16"))
    #expect(rows.allSatisfy { $0.seconds > 0 })
    #expect(try Program.run("bench", "kernels", "--seconds", "0.001", seconds: 120).output.contains("attention"))
  }

  @Test("bench times attention, memory passes, decoding and training steps, and compares them with an earlier run")
  func passes() throws {
    let folder = try TemporaryFolder()
    let recipe = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("configs/quickstart.yaml").path
    let runs: [([String], [String])] = [
      (["attention", "--seconds", "0.001"], ["attention backward, 512 positions"]),
      (["memory", "--seconds", "0.001"], ["AdamW, int8 moments", "pack ternary, 1024×512"]),
      (
        ["decode", "--config", recipe, "--tokens", "4", "--prompt-length", "4", "--rounds", "1"],
        ["decode, batch 1", "decode, batch 16"]
      ),
      (
        ["train-step", "--config", recipe, "--tokens", "128", "--sequence-length", "16", "--steps", "1"],
        ["training step", "  optimizer and packing"]
      ),
    ]
    for (arguments, operations) in runs {
      let command = try [Program.path, "bench"] + arguments
      let outcome = try Program.execute(command + ["--json"], seconds: 120)
      #expect(outcome.status == 0, "\(outcome.errors)")
      let rows = try JSONDecoder().decode(Kernels.self, from: Data(outcome.output.utf8)).rows
      for operation in operations { #expect(rows.contains { $0.operation == operation }, "\(operation)") }
      #expect(rows.allSatisfy { $0.seconds > 0 })
      guard arguments[0] == "attention" else { continue }
      let path = try folder.write("baseline.json", Data(outcome.output.utf8))
      let again = try Program.execute(command + ["--baseline", path], seconds: 120)
      #expect(again.output.contains("speed"))
    }
    let wrong = try Program.run("bench", "attention", "--baseline", recipe)
    #expect(wrong.status == 2)
    #expect(
      wrong.messages == [
        "quillan: --baseline \(recipe): not the JSON of a benchmark; write one with 'quillan bench … --json'"
      ])
  }

  @Test("bench mpi times messages from 1 KiB to 64 MiB, and rank 0 prints")
  func messages() throws {
    let outcome = try Program.run(ranks: 2, "bench", "mpi", "--seconds", "0.001", "--json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let report = try JSONDecoder().decode(Messages.self, from: Data(outcome.output.utf8))
    #expect(report.ranks == 2)
    #expect(report.rows.first?.bytes == 1024)
    #expect(report.rows.last?.bytes == 64 << 20)
    #expect(report.rows.allSatisfy { $0.ratio > 0 })
  }
}
