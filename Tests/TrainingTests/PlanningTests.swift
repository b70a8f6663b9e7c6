import Foundation
import LowBit
import Models
import Rollouts
import Testing
import Training

/// The plan's arithmetic on sizes that can be counted by hand.
@Suite struct PlanningTests {
  /// A model of small round sizes, in the formats of the recipes.
  private func small(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var result = RunConfiguration()
    var model = ModelConfiguration(dim: 10)
    model.vocabSize = 300
    model.numLayers = 1
    model.numHeads = 1
    model.numMiniMoes = 4
    model.miniMoeTopK = 2
    model.numExpertsPerMini = 3
    model.expertTopK = 1
    model.expertDim = 20
    model.numMicrosPerMini = 5
    model.microTopK = 2
    model.microAgentDim = 4
    model.overseerDim = 40
    model.diffusionDim = 30
    model.diffusionBlocks = 2
    model.diffusionInferenceSteps = 3
    model.maxSeqLen = 64
    model.int4Group = 10
    result.model = model
    result.data.tokenizer = .byte
    result.data.task = TaskConfiguration()
    result.data.maxPromptLen = 16
    result.pretrain.sequenceLength = 32
    result.rl.batchSize = 8
    result.rl.numTrajectories = 2
    result.rl.objective.maxTrajectoryLen = 8
    change(&result)
    return result
  }

  private func parameters(_ configuration: RunConfiguration) throws -> ParameterPlan {
    try ParameterPlan(configuration.model, configuration.precision)
  }

  @Test("The work of a token is its products, each by its format, and twice as many backward")
  func work() {
    let work = ModelWork(small(), positions: 7)
    // Attention 4·10², router 4·10, experts 2·2·10·20, agents 2·2·2·10·4, routers of the mini-MoEs 2·(3 + 5)·10,
    // Overseer 2·10·40, latents 10²; attention itself 2·7·10.
    let (low, floating, attention): (Double, Double, Double) = (1620, 1000, 140)
    let forward: Double = 0.55 * low + 2 * floating + 3 * attention
    let products = low + floating
    // In and out 10² each; two blocks of 2·10·30 + 30².
    let denoiser: Double = 3200
    func close(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 1e-9 * expected }
    #expect(close(work.forward, forward))
    #expect(close(work.denoiser, 0.55 * denoiser))
    let backward: Double = 2 * (products + denoiser + 3 * attention)
    #expect(close(work.backward, backward))
    #expect(close(work.head, 3000) && close(work.headBackward, 6000))
    let recomputed: Double = 2 * forward + work.denoiser + backward + 0.5 * 9000
    #expect(close(work.training(predicted: 0.5, recomputed: true), recomputed))
    #expect(close(work.sampling, forward + 3 * work.denoiser + 3000))
    let single = ModelWork(small { $0.rl.useMixedPrecision = false }, positions: 7)
    let twice: Double = 2 * (2 * (products + denoiser) + 3 * attention)
    #expect(close(single.backward, twice))
  }

  @Test("One sequence reads the experts that it visits, many read all of them")
  func decoding() throws {
    let configuration = small()
    let parameters = try self.parameters(configuration)
    let bytes = DecodingBytes(configuration, parameters)
    func part(_ name: String) -> Double {
      parameters.parts.filter { $0.part == name && $0.component == "mini_moes" }.reduce(0) {
        $0 + Double($1.packedBytes)
      }
    }
    // 2 of 4 mini-MoEs, in each 1 of 3 experts and 2 of 5 agents.
    let one = part("experts") * 2 / 4 / 3 + part("micro agents") * 2 / 4 * 2 / 5
    let all = part("experts") + part("micro agents")
    #expect(abs(bytes.bytes(batch: 10_000) - bytes.bytes(batch: 1) - (all - one)) < 1e-6 * all)
  }

  @Test("Rings cross a host's link once for all of its ranks; an expert group within a host does not cross it")
  func traffic() throws {
    let configuration = small {
      $0.parallel.expert = 2
      $0.optimizer.shard = true
    }
    let parameters = try self.parameters(configuration)
    let council = parameters.councilStoreCount
    let replicated = parameters.storeCount - council
    let plan = TrafficPlan(configuration, parameters, ranks: 4, ranksPerHost: 2, tokens: 100, microBatches: 3)
    let rows = Dictionary(uniqueKeysWithValues: plan.rows.map { ($0.name, $0) })
    // Ring of 4 for what all hold: 2·3/4·4 bytes; rings of 2 for half the council: 2·1/2·4 bytes, two through a host.
    let sum = try #require(rows["sum of gradients"])
    #expect(sum.bytes == 6 * replicated + 4 * council / 2)
    #expect(sum.linkBytes == 6 * replicated + 2 * 4 * council / 2)
    #expect(sum.hostBytes == 2 * sum.bytes)
    #expect(sum.messages == 2 * (3 + 1))
    #expect(rows["updated masters"]?.bytes == sum.bytes / 2)
    // A token's two slots, half of them elsewhere: out, back, and the gradients of both, 10 values of 4 bytes.
    let routed = try #require(rows["routed tokens and their gradients"])
    #expect(routed.bytes == 100 * 2 / 2 * 4 * 10 * 4)
    #expect(routed.linkBytes == 0)
    #expect(routed.messages == 5 * 3)
    #expect(rows["policy replica"]?.linkBytes == 0)
    var wide = configuration
    wide.parallel.expert = 4
    let crossing = TrafficPlan(wide, parameters, ranks: 4, ranksPerHost: 2, tokens: 120, microBatches: 1)
    let crossed = try #require(crossing.rows.first { $0.name == "routed tokens and their gradients" })
    // Three quarters are elsewhere, two of those three on the other host, for both ranks.
    #expect(crossed.bytes == 120 * 2 * 3 / 4 * 4 * 10 * 4)
    #expect(crossed.linkBytes == crossed.bytes * 2 / 3 * 2)
    #expect(TrafficPlan(small(), parameters, ranks: 1, tokens: 100).rows.isEmpty)
  }

  @Test("Memory has a row for what reproducible expert groups and a checkpoint in the background take")
  func memory() throws {
    func rows(_ ranks: Int, _ change: (inout RunConfiguration) -> Void) throws -> ([String: Int], ParameterPlan) {
      let configuration = small(change)
      let parameters = try self.parameters(configuration)
      let plan = MemoryPlan(configuration, parameters, ranks: ranks, promptLength: 8)
      return (Dictionary(uniqueKeysWithValues: plan.rows.map { ($0.name, $0.bytes) }), parameters)
    }
    let (grouped, parameters) = try rows(4) {
      $0.parallel.expert = 2
      $0.parallel.reproducible = true
    }
    let council = parameters.councilStoreCount
    let replicated = parameters.storeCount - council
    #expect(grouped["master weights, fp32"] == 4 * (replicated + council / 2))
    let stacks = parameters.stackStoreCount
    #expect(stacks > 0)
    #expect(grouped["gradients of the group's other units"] == 4 * (council - stacks) / 2)
    let (exact, _) = try rows(4) {
      $0.parallel.expert = 2
      $0.parallel.reproducible = true
      $0.rl.useMixedPrecision = false
    }
    #expect(exact["gradients of the group's other units"] == 4 * council / 2)
    // Four ranks write a quarter of the council each; rank 0 writes the rest.
    #expect(grouped["checkpoint copy on rank 0"] == 12 * (replicated + council / 4))
    let (sharded, _) = try rows(2) {
      $0.optimizer.shard = true
      $0.optimizer.state = .fp32
    }
    #expect(sharded["AdamW moments, fp32"] == 8 * (replicated / 2 + council / 2))
    #expect(sharded["checkpoint copy on rank 0"] == 4 * (replicated + council / 2) + 8 * (replicated / 2 + council / 2))
    #expect(try rows(1) { $0.checkpoint.copy = false }.0["checkpoint copy on rank 0"] == nil)
    // Two groups of two sequences a rank, of 16 tokens: in one micro-batch or four; reproducible ones are a group each.
    #expect(try rows(4) { _ in }.0.keys.contains("activations of 64 tokens"))
    #expect(try rows(4) { $0.rl.accumulationSteps = 4 }.0.keys.contains("activations of 16 tokens"))
    #expect(grouped.keys.contains("activations of 32 tokens"))
    // All groups of a rollout are sampled together, up to 256 sequences.
    let (several, _) = try rows(4) {
      $0.rl.miniBatches = 3
      $0.evaluation.count = 8
    }
    #expect(several.keys.contains("key-value cache of 12 sequences"))
    // An evaluation may need more: 200 prompts on four ranks.
    #expect(try rows(4) { $0.evaluation.count = 200 }.0.keys.contains("key-value cache of 50 sequences"))
    #expect(try rows(1) { $0.rl.batchSize = 500 }.0.keys.contains("key-value cache of 256 sequences"))
  }

  @Test(
    "What control groups leave is the least that a group or one above it has, without what the system can take back")
  func controlGroups() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("groups-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    func write(_ path: String, _ text: String) throws {
      let file = folder.appendingPathComponent(path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    func room() -> Int? {
      AvailableMemory.controlGroup(membership: folder.path + "/membership", root: folder.path + "/groups")
    }
    #expect(room() == nil)
    try write("membership", "0::/jobs/one\n")
    #expect(room() == nil)
    try write("groups/jobs/one/memory.max", "max\n")
    try write("groups/jobs/one/memory.current", "100\n")
    #expect(room() == nil)
    try write("groups/jobs/memory.max", "5000\n")
    try write("groups/jobs/memory.current", "3000\n")
    #expect(room() == 2000)
    try write("groups/jobs/memory.stat", "anon 2500\ninactive_file 500\n")
    #expect(room() == 2500)
    try write("groups/jobs/one/memory.max", "2000\n")
    #expect(room() == 1900)
    // The first version, in a container that sees its group as the root.
    try write("membership", "5:cpu,memory:/elsewhere\n1:name=systemd:/x\n0::/\n")
    try write("groups/memory/memory.limit_in_bytes", "900\n")
    try write("groups/memory/memory.usage_in_bytes", "1000\n")
    #expect(room() == 0)
  }

  private var cluster: ClusterDescription {
    ClusterDescription(hosts: 2, cores: 2, memory: 1 << 34, link: 1e9, latency: 1e-3)
  }

  @Test("A phase takes its work over the rate of a rank's cores, a message its bytes over the slower way and latencies")
  func phases() throws {
    let configuration = small()
    let parameters = try self.parameters(configuration)
    var calibration = Calibration.standard
    calibration.update = 2
    calibration.memory = .infinity
    calibration.training = 1e6
    calibration.decoding = .infinity
    calibration.sampling = 1e5
    calibration.messages = .infinity
    let layout = StepPlan.Layout(hosts: 2, ranksPerHost: 1, threads: 2, expert: 1, accumulationSteps: 1)
    let plan = StepPlan(configuration, parameters, layout, cluster, promptLength: 8, calibration)
    func seconds(_ name: String) -> Double { plan.rows.first { $0.name == name }?.seconds ?? .nan }
    func close(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 1e-9 * expected }
    #expect(close(seconds("optimizer and packing"), Double(parameters.storeCount) / 2 / 2))
    // Four groups of two sequences a rank, 8 + 8 tokens each.
    let training = ModelWork(configuration, positions: 8.5).training(predicted: 0.5, recomputed: false)
    #expect(close(seconds("forward and backward"), 4 * 2 * 16 * training / 1e6 / 2))
    let reading = ModelWork(configuration, positions: 4.5).reading
    let sampling = ModelWork(configuration, positions: 12).sampling
    #expect(close(seconds("sampling"), (4 * 8 * reading / 1e6 + 8 * 8 * sampling / 1e5) / 2))
    // Two ranks each send the gradients' bytes once, in two messages.
    #expect(close(seconds("sum of gradients"), 4 * Double(parameters.storeCount) / 1e9 + 2e-3))
    #expect(plan.tokens == 8 * 2 * 16)
    #expect(close(plan.seconds, plan.rows.reduce(0) { $0 + $1.seconds }))
    #expect(close(plan.messageSeconds, seconds("sum of gradients")))
  }

  @Test("Layouts are ordered by time; those without memory, groups or divisors are ruled out with the reason")
  func search() throws {
    let configuration = small { $0.rl.batchSize = 3 }
    let parameters = try self.parameters(configuration)
    let search = LayoutSearch(configuration, parameters, cluster, promptLength: 8, .standard)
    #expect(
      search.choices.map { [$0.layout.ranksPerHost, $0.layout.expert] }.sorted { $0[1] < $1[1] } == [[1, 1], [1, 2]])
    #expect(search.choices.allSatisfy { $0.layout.threads == 2 && $0.efficiency > 0 && $0.efficiency < 1 })
    let reasons = Dictionary(uniqueKeysWithValues: search.rejections.map { ($0.layouts, $0.reason) })
    #expect(reasons["1 rank per host, P 4"] == "P must divide 2 ranks")
    #expect(reasons["2 ranks per host"] == "4 ranks need at least one group each, but rl.batch_size is 3")
    #expect(reasons["other P"]?.contains("model.num_mini_moes 4") == true)

    let whole = MemoryPlan(configuration, parameters, ranks: 2, promptLength: 8).total
    var tight = cluster
    tight.memory = Int(Double(whole) / LayoutSearch.usableMemory) - 1
    let fitted = LayoutSearch(configuration, parameters, tight, ranksPerHost: 1, promptLength: 8, .standard)
    #expect(fitted.choices.first { $0.layout.expert == 1 }?.layout.accumulationSteps == 2)
    tight.memory = 1000
    let none = LayoutSearch(configuration, parameters, tight, ranksPerHost: 1, promptLength: 8, .standard)
    #expect(none.choices.isEmpty)
    #expect(none.rejections.contains { $0.layouts == "1 rank per host, P 1" && $0.reason.hasPrefix("a rank needs ") })
  }

  @Test("Rates come back from what benchmarks would print on a machine that has them")
  func calibration() throws {
    let configuration = small()
    let parameters = try self.parameters(configuration)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("plan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func row(_ name: String, _ seconds: Double, _ more: [String: JSONValue] = [:]) -> JSONValue {
      .object(["operation": .text(name), "seconds": .number(seconds)].merging(more) { $1 })
    }
    let yaml = JSONValue.text(configuration.yaml())
    // 24 tokens of which the last 16 of a sequence are predicted; two threads.
    let training = ModelWork(configuration, positions: 12.5).training(predicted: 16.0 / 24, recomputed: false)
    let weights = 9 * Double(parameters.storeCount)
    let train = JSONValue.object([
      "ranks": 1, "threads": 2, "tokens": 48, "sequence_length": 24, "configuration": yaml,
      "rows": .list([
        row("training step", 1),
        row("  forward and backward", 48 * training / 5e6 / 2 + weights / 7e6 / 2),
        row("  reduction and norm", 1), row("  optimizer and packing", Double(parameters.storeCount) / 3e6 / 2),
      ]),
    ])
    let memory = JSONValue.object([
      "threads": 2, "rows": .list([row("fixed-point addition", 1, ["rate": .number(14e6)])]),
    ])
    let work = ModelWork(configuration, positions: 6 + 2).sampling
    let bytes = DecodingBytes(configuration, parameters)
    let decode = JSONValue.object([
      "threads": 1, "prompt_length": 6, "tokens": 4, "configuration": yaml,
      "rows": .list(
        [1, 4, 16].map { batch in
          row("decode, batch \(batch)", 4 * (Double(batch) * work / 8e6 + bytes.bytes(batch: batch) / 2e6))
        }),
    ])
    let messages = JSONValue.object([
      "ranks": 2, "library": "MPI",
      "rows": .list([
        .object(["bytes": 1024, "wrapper_seconds": .number(4e-6)]),
        .object(["bytes": 1_000_000, "wrapper_seconds": .number(1e-3)]),
      ]),
    ])
    let path = folder.appendingPathComponent("all.json").path
    let lines = [memory, train, decode, messages].map { $0.serialized + "\n" }.joined()
    try lines.write(toFile: path, atomically: true, encoding: .utf8)
    let result = try Calibration(paths: [path])
    func close(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 1e-6 * expected }
    #expect(close(result.memory, 7e6))
    #expect(close(result.training, 5e6), "\(result.training)")
    #expect(close(result.update, 3e6))
    #expect(close(result.sampling, 8e6) && close(result.decoding, 2e6), "\(result.sampling), \(result.decoding)")
    #expect(close(result.messages, 2e9) && close(result.messageLatency, 2e-6))
    #expect(result.measured.count == 4 && result.assumed.isEmpty)
    #expect(try Calibration(paths: []).assumed.count == 4)
    try "{\"rows\":[]}\n".write(toFile: path, atomically: true, encoding: .utf8)
    let error = #expect(throws: DataError.self) { try Calibration(paths: [path]) }
    #expect(error?.line == 1)
  }

  @Test("Quantities read as people write them")
  func quantities() {
    #expect(QuantityText.rate("10Gbit") == 1.25e9 && QuantityText.rate("1.2 GB/s") == 1.2e9)
    #expect(QuantityText.seconds("20us").map { abs($0 - 20e-6) < 1e-18 } == true)
    #expect(QuantityText.seconds("0.5ms") == 0.5 * 1e-3)
    #expect(QuantityText.bytes("64GiB") == 64 << 30 && QuantityText.bytes("2GB") == 2_000_000_000)
    #expect(QuantityText.rate("10") == nil && QuantityText.seconds("-1ms") == nil && QuantityText.bytes("x GiB") == nil)
  }
}
