import Foundation
import TestSupport
import Testing

@Suite("Plan", .serialized)
struct PlanTests {
  private struct Plan: Decodable {
    struct Part: Decodable {
      let name: String
      let parameters: Int
      let packed_bytes: Int
      let information_bits: Double
      let parts: [Part]?
    }

    let parameters: Int
    let balance_biases: Int
    let memory_bytes: Int
    let traffic_bytes: Int
    let components: [Part]
  }

  private static func recipe(_ name: String) -> String {
    Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("configs/\(name).yaml").path
  }

  private func plan(_ arguments: String...) throws -> Plan {
    let outcome = try Program.execute([Program.path, "plan", "--json", "--config"] + arguments)
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try JSONDecoder().decode(Plan.self, from: Data(outcome.output.utf8))
  }

  @Test("The 511M recipe has 511,500,289 parameters and 10,848 balance biases, counted without allocation")
  func total() throws {
    // The masters alone would take 2 GB of address space.
    let command = "ulimit -v 1500000; exec '\(try Program.path)' plan --config '\(Self.recipe("quillan-511m"))'"
    let outcome = try Program.execute(["/bin/sh", "-c", command])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(outcome.output.contains("parameters: 511,500,289\n"))
    #expect(outcome.output.contains("not counted): 10,848\n"))
    for name in ["embedding", "overseer", "diffusion", "layers", "mini_moes", "final_norm", "value_head"] {
      #expect(outcome.output.contains("\n\(name) "), "\(name)")
    }
  }

  @Test("Components sum to the total, parts sum to their component, and packed bytes cover the information")
  func sums() throws {
    let plan = try plan(Self.recipe("quillan-511m"))
    #expect(plan.parameters == 511_500_289)
    #expect(plan.balance_biases == 10_848)
    #expect(plan.components.map(\.parameters).reduce(0, +) == plan.parameters)
    for component in plan.components {
      #expect(8 * Double(component.packed_bytes) >= component.information_bits, "\(component.name)")
      if let parts = component.parts, !parts.isEmpty {
        #expect(parts.map(\.parameters).reduce(0, +) == component.parameters, "\(component.name)")
        #expect(parts.map(\.packed_bytes).reduce(0, +) == component.packed_bytes, "\(component.name)")
      }
    }
  }

  @Test(
    "Planning handles sizes that no machine could hold",
    arguments: [
      ["model.max_seq_len=16777216"], ["rl.batch_size=100000000", "model.expert_dim=131072"],
      ["model.num_mini_moes=4096", "model.num_experts_per_mini=4096", "model.expert_dim=131072", "model.dim=131072"],
    ])
  func enormous(overrides: [String]) throws {
    let sets = overrides.flatMap { ["--set", $0] }
    let arguments = ["plan", "--ranks", "1", "--config", Self.recipe("quillan-511m")] + sets
    let outcome = try Program.execute([Program.path] + arguments, seconds: 20)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  @Test("Overrides and the number of ranks change the plan")
  func overrides() throws {
    let one = try plan(Self.recipe("quickstart"))
    let two = try plan(Self.recipe("quickstart"), "--ranks", "2")
    #expect(two.parameters == one.parameters)
    #expect(two.memory_bytes < one.memory_bytes)
    let wide = try plan(Self.recipe("quickstart"), "--set", "model.expert_dim=256")
    #expect(wide.parameters != one.parameters)
  }

  @Test("One rank sends nothing, several send gradients, and expert groups divide the memory of mini-MoEs")
  func ranks() throws {
    let recipe = Self.recipe("quillan-511m")
    let one = try plan(recipe)
    #expect(one.traffic_bytes == 0)
    let two = try plan(recipe, "--ranks", "2")
    // A sum over two ranks sends the gradient of each rank once.
    #expect(abs(Double(two.traffic_bytes) / (4 * 511_511_137) - 1) < 0.001)
    let grouped = try plan(recipe, "--ranks", "2", "--set", "parallel.expert=2")
    #expect(grouped.memory_bytes < two.memory_bytes - 3_000_000_000)
    let sharded = try plan(recipe, "--ranks", "2", "--set", "optimizer.shard=true")
    #expect(sharded.memory_bytes < two.memory_bytes - 2_000_000_000)
    #expect(sharded.traffic_bytes > two.traffic_bytes)
    let small = try plan(recipe, "--set", "optimizer.state=int8")
    #expect(small.memory_bytes < one.memory_bytes - 3_000_000_000)
    let odd = try Program.run("plan", "--ranks", "3", "--config", recipe, "--set", "parallel.expert=2")
    #expect(odd.status == 2)
    #expect(
      odd.messages == [
        "quillan: --ranks 3 is not a multiple of parallel.expert 2, the size of an expert group; change one of them"
      ])
  }

  private struct Cluster: Decodable {
    struct Layout: Decodable {
      struct Phase: Decodable {
        let name: String
        let seconds: Double
      }

      let ranks: Int
      let expert: Int
      let threads: Int
      let seconds: Double
      let efficiency: Double
      let phases: [Phase]
    }

    struct Rejection: Decodable {
      let layouts: String
      let reason: String
    }

    let layouts: [Layout]
    let ruled_out: [Rejection]
    let measured: [String]
    let assumed: [String]
  }

  @Test("Plans for hosts use measured rates, and list the other rates as assumed")
  func hosts() throws {
    let folder = try TemporaryFolder()
    let recipe = Self.recipe("quickstart")
    let bench = try Program.run(
      "bench", "train-step", "--config", recipe, "--tokens", "256", "--sequence-length", "32", "--steps", "1", "--json",
      seconds: 120)
    let decode = try Program.run(
      "bench", "decode", "--config", recipe, "--tokens", "4", "--prompt-length", "4", "--rounds", "1", "--json",
      seconds: 120)
    let path = try folder.write("calibration.json", Data((bench.output + decode.output).utf8))
    let arguments = [
      try Program.path, "plan", "--config", recipe, "--hosts", "2", "--cores", "4", "--memory", "16GiB", "--link",
      "25Gbit", "--latency", "10us",
    ]
    let outcome = try Program.execute(arguments + ["--calibration", path, "--json"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let plan = try JSONDecoder().decode(Cluster.self, from: Data(outcome.output.utf8))
    // 1, 2 and 4 ranks per host; P of 1, 2 and 4 if it divides the ranks.
    #expect(
      Set(plan.layouts.map { [$0.ranks, $0.expert] }) == [
        [2, 1], [2, 2], [4, 1], [4, 2], [4, 4], [8, 1], [8, 2], [8, 4],
      ])
    #expect(plan.layouts.map(\.seconds) == plan.layouts.map(\.seconds).sorted())
    for layout in plan.layouts {
      #expect(layout.ranks * layout.threads == 8)
      #expect(layout.efficiency > 0 && layout.efficiency <= 1)
      #expect(abs(layout.phases.reduce(0) { $0 + $1.seconds } - layout.seconds) < 1e-9 * layout.seconds)
    }
    #expect(plan.ruled_out.contains { $0.layouts == "1 rank per host, P 4" && $0.reason == "P must divide 2 ranks" })
    #expect(plan.measured.map { String($0.prefix { $0 != ":" }) } == ["train-step", "decode"])
    #expect(plan.assumed.count == 2)
    let text = try Program.execute(arguments + ["--ranks-per-host", "2"])
    #expect(text.output.contains("fastest: 2 ranks per host"))
    #expect(text.output.contains("\nassumed   train-step: training "))
    #expect(text.output.contains("\nsum of gradients "))
  }

  @Test("Invalid cluster options are rejected with a valid example")
  func clusterFaults() throws {
    let recipe = Self.recipe("quickstart")
    for (options, words) in [
      (["--hosts", "2", "--link", "fast"], "10Gbit"), (["--hosts", "2", "--latency", "20"], "20us"),
      (["--hosts", "2", "--ranks", "2"], "exclude each other"), (["--cores", "2"], "need --hosts"),
      (["--hosts", "2", "--memory", "lots"], "64GiB"),
    ] {
      let outcome = try Program.execute([Program.path, "plan", "--config", recipe] + options)
      #expect(outcome.status == 2 && outcome.messages.count == 1)
      #expect(outcome.errors.contains(words), "\(outcome.errors)")
    }
    let outcome = try Program.run("plan", "--config", recipe, "--hosts", "2", "--calibration", recipe)
    #expect(outcome.status == 3 && outcome.errors.contains("quickstart.yaml:1: not the JSON of a benchmark"))
  }

  @Test(
    "The plan of every recipe has the number of parameters of its model",
    arguments: [
      ("quickstart", 954_337), ("quillan-511m", 511_500_289), ("quillan-low-memory", 181_980_545),
      ("no-bitnet", 511_500_289), ("no-diffusion", 489_722_881), ("diffusion-20-steps", 511_500_289),
    ])
  func recipes(name: String, parameters: Int) throws {
    #expect(try plan(Self.recipe(name)).parameters == parameters)
  }

  @Test(
    "An invalid configuration gives one line with the place and the remedy, and exit code 2",
    arguments: [
      ("model:\n  dim: 512\n  num_haeds: 8\n", ":3: ", "'model.num_heads'"),
      ("model:\n  dim: wide\n", ":2: ", "model.dim"),
      ("model:\n  num_heads: 7\n", ":2: ", "num_heads"),
      ("model:\n  num_mini_moes: 4\n  mini_moe_top_k: 5\n", ":3: ", "mini_moe_top_k"),
      ("modle:\n  dim: 512\n", ":1: ", "'model'"),
      ("", ".yaml: ", "empty"),
      ("rl:\n  top_k: 60000\n", ":2: ", "vocab_size"),
      ("model: [1, 2\n", ".yaml", ""),
    ])
  func faults(yaml: String, place: String, part: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("case.yaml", Data(yaml.utf8))
    let outcome = try Program.run("plan", "--config", path)
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty)
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    #expect(outcome.errors.hasPrefix("quillan: \(path)"), "\(outcome.errors)")
    #expect(outcome.errors.contains(place), "\(outcome.errors)")
    if !part.isEmpty { #expect(outcome.errors.contains(part), "\(outcome.errors)") }
  }

  @Test("A missing configuration and a wrong override give one line and exit code 2")
  func missing() throws {
    let absent = try Program.run("plan", "--config", "/nonexistent/run.yaml")
    #expect(absent.status == 2)
    #expect(absent.errors.hasPrefix("quillan: /nonexistent/run.yaml: no such file;"), "\(absent.errors)")
    let wrong = try Program.run("plan", "--config", Self.recipe("quickstart"), "--set", "rl.batch_sise=4")
    #expect(wrong.status == 2)
    #expect(wrong.errors.contains("--set rl.batch_sise=4: "), "\(wrong.errors)")
    #expect(wrong.errors.contains("'rl.batch_size'"), "\(wrong.errors)")
    #expect(wrong.errors.split(separator: "\n").count == 1)
  }

  @Test("The resolved configuration with overrides reads back unchanged")
  func resolved() throws {
    let folder = try TemporaryFolder()
    let first = try Program.run(
      "debug", "configuration", "--config", Self.recipe("quickstart"), "--set", "rl.batch_size=12")
    #expect(first.status == 0)
    #expect(first.output.contains("  batch_size: 12\n"))
    let path = try folder.write("resolved.yaml", Data(first.output.utf8))
    #expect(try Program.run("debug", "configuration", "--config", path).output == first.output)
  }
}
