import Foundation
import TestSupport
import Testing

@Suite("Debugging a run", .serialized)
struct DebugRunTests {
  private struct Trace: Decodable {
    struct Event: Decodable {
      let ph: String
      let name: String
      let cat: String?
      let pid: Int
      let tid: Int?
      let ts: Double?
      let dur: Double?
    }

    struct About: Decodable {
      let format: String
      let version: Int
      let ranks: Int
      let first_step: Int
      let last_step: Int
    }

    let otherData: About
    let traceEvents: [Event]
  }

  /// A run of three steps on a small model.
  private func train(_ folder: TemporaryFolder, _ arguments: String...) throws -> Program.Outcome {
    let sizes = [
      "model.dim=16", "model.num_heads=2", "model.num_mini_moes=2", "model.expert_dim=32", "model.overseer_dim=32",
      "model.diffusion_dim=16", "model.int4_group=16", "rl.batch_size=4", "rl.num_epochs=3", "rl.warmup_steps=0",
      "evaluation.count=4", "parallel.threads=1", "logging.directory=\(folder.path("runs"))",
    ]
    let launcher = ["/usr/bin/env", "mpirun", "--oversubscribe", "-n", "2", try Program.path, "train"]
    let configuration = ["--config", "configs/quickstart.yaml", "--name", "run"]
    return try Program.execute(
      launcher + configuration + (sizes + UnevenRewards.settings).flatMap { ["--set", $0] } + arguments, seconds: 120)
  }

  @Test("A trace has all ranks on one time line, and its spans nest")
  func trace() throws {
    let folder = try TemporaryFolder()
    let outcome = try train(folder, "--trace", "steps=2-3")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("runs/run/trace.json; open it in"))
    let data = try Data(contentsOf: URL(fileURLWithPath: folder.path("runs/run/trace.json")))
    let trace = try JSONDecoder().decode(Trace.self, from: data)
    #expect(trace.otherData.format == "quillan-trace" && trace.otherData.version == 1)
    #expect(trace.otherData.ranks == 2 && trace.otherData.first_step == 2 && trace.otherData.last_step == 3)
    let spans = trace.traceEvents.filter { $0.ph == "X" }
    for rank in 0..<2 {
      let own = spans.filter { $0.pid == rank }
      for name in ["step 2", "step 3", "rollout", "micro-batch 0", "layer 1 forward", "layer 0 backward", "update"] {
        #expect(own.contains { $0.name == name && $0.cat == "phase" }, "\(name) of rank \(rank)")
      }
      #expect(own.contains { $0.name == "all-reduce gradients" && $0.cat == "collective" })
      for thread in Set(own.map(\.tid)) { #expect(nests(own.filter { $0.tid == thread })) }
    }
    // All ranks are on one clock, so their steps overlap.
    let second = spans.filter { $0.name == "step 2" }.sorted { $0.pid < $1.pid }
    #expect(second.count == 2)
    let (a, b) = (second[0], second[1])
    #expect((a.ts ?? 0) < (b.ts ?? 0) + (b.dur ?? 0) && (b.ts ?? 0) < (a.ts ?? 0) + (a.dur ?? 0))
    #expect((spans.compactMap(\.ts).min() ?? -1) == 0)
  }

  /// Whether any two spans are disjoint or nested; times are rounded to 1 ns.
  private func nests(_ spans: [Trace.Event]) -> Bool {
    var open: [Double] = []
    for span in spans.sorted(by: { ($0.ts ?? 0, -($0.dur ?? 0)) < ($1.ts ?? 0, -($1.dur ?? 0)) }) {
      let (start, end) = (span.ts ?? 0, (span.ts ?? 0) + (span.dur ?? 0))
      while let last = open.last, last <= start + 0.002 { open.removeLast() }
      if let last = open.last, end > last + 0.002 { return false }
      open.append(end)
    }
    return true
  }

  @Test("Debug mode writes the routing, prints the gradient check and its cost, and finds no fault in a correct run")
  func debugMode() throws {
    let folder = try TemporaryFolder()
    let outcome = try train(
      folder, "--debug", "--set", "debug.hash_every=1", "--set", "debug.check_gradients=[value_head.*]")
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.errors.contains("value_head.weight"))
    #expect(outcome.errors.contains("debug checks took "))
    #expect(outcome.errors.contains(" % of the run (collectives "))
    let lines = try folder.text("runs/run/routing.jsonl").split(separator: "\n")
    #expect(lines.first == #"{"format":"quillan-routing","version":1}"#)
    #expect(lines.count == 4)
    #expect(lines[1].contains(#""step":1"#) && lines[1].contains(#""mini_moes":[["#))
  }

  @Test("A --trace without valid steps is a usage error", arguments: ["10-12", "steps=3-2", "steps=0-1", "steps=a"])
  func badTrace(text: String) throws {
    let outcome = try Program.run("train", "--config", "configs/quickstart.yaml", "--trace", text)
    #expect(outcome.status == 2)
    #expect(outcome.messages.count == 1)
    #expect(outcome.messages.first?.contains("--trace must be steps=FIRST-LAST") == true)
  }
}
