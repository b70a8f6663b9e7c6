import Foundation
import TestSupport
import Testing

/// The estimates of `quillan plan` against measured peaks, and runs that exceed the memory.
@Suite("Memory of a run", .serialized)
struct MemoryTests {
  /// A small model, changed by overrides.
  private static let configuration = """
    model: {vocab_size: 259, dim: 64, num_layers: 2, num_heads: 4, num_mini_moes: 4, num_experts_per_mini: 4,
      expert_dim: 128, overseer_dim: 128, num_micros_per_mini: 8, micro_top_k: 2, max_seq_len: 96, diffusion_dim: 64,
      diffusion_blocks: 2, int4_group: 64}
    rl: {batch_size: 8, num_trajectories: 8, max_trajectory_len: 16, num_epochs: 3, warmup_steps: 1}
    pretrain: {steps: 3, warmup_steps: 1}
    data: {task: {name: addition, digits: 2}, held_out: 0.2, tokenizer: byte, max_prompt_len: 16,
      rewards: [{name: partial_credit}]}
    evaluation: {every: 0, count: 8, samples: 0}
    checkpoint: {every: 0}
    parallel: {threads: 1}
    logging: {directory: runs}
    """

  private static func sets(_ values: [String]) -> [String] { values.flatMap { ["--set", $0] } }

  @Test(
    "A run's peak is within a factor of 1.5 of the planned memory",
    arguments: [
      [], ["rl.batch_size=64", "rl.max_trajectory_len=48"],
      ["model.vocab_size=20000", "rl.gradient_checkpointing=true", "evaluation.count=200"],
      [
        "model.dim=192", "model.expert_dim=768", "model.num_mini_moes=8", "rl.use_mixed_precision=false",
        "parallel.reproducible=true", "checkpoint.every=1",
      ],
      [
        "model.dim=128", "model.num_layers=4", "model.max_seq_len=600", "rl.max_trajectory_len=500", "rl.batch_size=2",
        "rl.num_trajectories=4", "rl.kl_coef=0.1",
      ],
    ])
  func plan(changes: [String]) throws {
    struct Plan: Decodable { let memory_bytes: Int }
    struct Line: Decodable {
      let peak: Double?
      enum CodingKeys: String, CodingKey { case peak = "memory/peak_bytes" }
    }
    let folder = try TemporaryFolder()
    let file = try folder.write("small.yaml", Data(Self.configuration.utf8))
    let options = ["--config", file] + Self.sets(changes + ["logging.directory=\(folder.path("runs"))"])
    let planned = try Program.execute([Program.path, "plan", "--json"] + options)
    let run = try Program.execute([Program.path, "train", "--name", "run"] + options, seconds: 300)
    #expect(run.status == 0, "\(run.errors)")
    let bytes = try JSONDecoder().decode(Plan.self, from: Data(planned.output.utf8)).memory_bytes
    let peak =
      try folder.text("runs/run/metrics.jsonl").split(separator: "\n")
      .compactMap { try JSONDecoder().decode(Line.self, from: Data($0.utf8)).peak }.max() ?? .nan
    let ratio = Double(bytes) / peak
    #expect(ratio < 1.5 && ratio > 1 / 1.5, "planned \(bytes >> 20) MiB, peak \(Int(peak) >> 20) MiB")
  }

  @Test(
    "With a limit of the address space, a run ends well or with one line", arguments: [600, 700, 800, 900, 1000, 1200])
  func limitedAddressSpace(megabytes: Int) throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("small.yaml", Data(Self.configuration.utf8))
    let changes = ["model.dim=192", "model.expert_dim=768", "model.num_mini_moes=8", "parallel.threads=2"]
    let options = ["--config", file] + Self.sets(changes + ["logging.directory=\(folder.path("runs"))"])
    let command = "ulimit -v \(1000 * megabytes); exec \"$@\""
    let run = try Program.execute(
      ["/bin/sh", "-c", command, "sh", Program.path, "train", "--name", "run"] + options, seconds: 300)
    #expect(run.status == 0 || (run.status == 1 && run.errors.contains("ulimit")), "\(run.status) \(run.errors)")
  }

  @Test("Memory does not grow between step 10 and step 50, although completions change in length")
  func flat() throws {
    struct Line: Decodable {
      let step: Int?
      let peak: Double?
      enum CodingKeys: String, CodingKey {
        case step
        case peak = "memory/peak_bytes"
      }
    }
    let folder = try TemporaryFolder()
    let file = try folder.write("small.yaml", Data(Self.configuration.utf8))
    let run = try Program.execute(
      [Program.path, "train", "--name", "run", "--config", file]
        + Self.sets([
          "logging.directory=\(folder.path("runs"))", "rl.num_epochs=50", "rl.batch_size=16",
          "rl.max_trajectory_len=60",
          "model.dim=32", "model.int4_group=32", "rl.learning_rate=0.001",
        ]), seconds: 300)
    #expect(run.status == 0, "\(run.errors)")
    let lines = try folder.text("runs/run/metrics.jsonl").split(separator: "\n")
      .map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    let early = lines.first { $0.step == 10 && $0.peak != nil }?.peak ?? .nan
    let late = lines.last { $0.step == 50 && $0.peak != nil }?.peak ?? .nan
    #expect(late < 1.15 * early + Double(8 << 20), "\(early) bytes at step 10, \(late) at step 50")
  }

  @Test(
    "A run that does not fit in memory is rejected in one line, before its directory exists",
    arguments: [
      ["train", "model.dim=4096", "model.expert_dim=65536", "model.num_mini_moes=512"],
      ["pretrain", "model.dim=4096", "model.expert_dim=65536", "model.num_mini_moes=512"],
      ["train", "model.max_seq_len=16000000", "rl.max_trajectory_len=15000000", "rl.num_trajectories=256"],
    ], [1, 2])
  func refusal(arguments: [String], ranks: Int) throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("small.yaml", Data(Self.configuration.utf8))
    let launcher = ranks > 1 ? ["/usr/bin/env", "mpirun", "--oversubscribe", "-n", "\(ranks)"] : []
    let options = Self.sets(Array(arguments.dropFirst()) + ["logging.directory=\(folder.path("runs"))"])
    let outcome = try Program.execute(
      launcher + [try Program.path, arguments[0], "--name", "run", "--config", file] + options, seconds: 120)
    #expect(outcome.status == 1, "\(outcome.errors)")
    let messages = outcome.messages.filter { $0.contains("takes about") }
    #expect(messages.count == 1 && outcome.messages.count == 1, "\(outcome.errors)")
    #expect(messages.first?.contains("'quillan plan' lists the memory by use") == true)
    #expect(!FileManager.default.fileExists(atPath: folder.path("runs")))
  }
}
