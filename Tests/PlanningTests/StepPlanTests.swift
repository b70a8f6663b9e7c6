import Configuration
import Planning
import Testing

@Suite struct StepPlanTests {
  @Test(
    "A ring crosses the link of a host once for all its ranks; an expert group within a host does not cross the link")
  func traffic() throws {
    let configuration = PlanFixture.configuration {
      $0.parallel.expert = 2
      $0.optimizer.shard = true
    }
    let parameters = try PlanFixture.parameters(configuration)
    let council = parameters.councilStoreCount
    let replicated = parameters.storeCount - council
    let plan = TrafficPlan(configuration, parameters, ranks: 4, ranksPerHost: 2, tokens: 100, microBatches: 3)
    let rows = Dictionary(uniqueKeysWithValues: plan.rows.map { ($0.name, $0) })
    // A ring of 4 for replicated tensors: 2·3/4·4 bytes; rings of 2 for half the council: 2·1/2·4 bytes, two per host.
    let sum = try #require(rows["sum of gradients"])
    #expect(sum.bytes == 6 * replicated + 4 * council / 2)
    #expect(sum.linkBytes == 6 * replicated + 2 * 4 * council / 2)
    #expect(sum.hostBytes == 2 * sum.bytes)
    #expect(sum.messages == 2 * (3 + 1))
    #expect(rows["updated masters"]?.bytes == sum.bytes / 2)
    // Two slots per token, half of them on another rank: out, back, and both gradients, 10 values of 4 bytes.
    let routed = try #require(rows["routed tokens and their gradients"])
    #expect(routed.bytes == 100 * 2 / 2 * 4 * 10 * 4)
    #expect(routed.linkBytes == 0)
    #expect(routed.messages == 5 * 3)
    #expect(rows["policy replica"]?.linkBytes == 0)
    var wide = configuration
    wide.parallel.expert = 4
    let crossing = TrafficPlan(wide, parameters, ranks: 4, ranksPerHost: 2, tokens: 120, microBatches: 1)
    let crossed = try #require(crossing.rows.first { $0.name == "routed tokens and their gradients" })
    // Three quarters are on other ranks, two thirds of these on the other host, for both ranks.
    #expect(crossed.bytes == 120 * 2 * 3 / 4 * 4 * 10 * 4)
    #expect(crossed.linkBytes == crossed.bytes * 2 / 3 * 2)
    #expect(TrafficPlan(PlanFixture.configuration(), parameters, ranks: 1, tokens: 100).rows.isEmpty)
  }

  @Test(
    "A phase takes work divided by the rate of the cores; a message takes bytes divided by the slower rate plus latency"
  )
  func phases() throws {
    let configuration = PlanFixture.configuration()
    let parameters = try PlanFixture.parameters(configuration)
    var calibration = Calibration.standard
    calibration.update = 2
    calibration.memory = .infinity
    calibration.training = 1e6
    calibration.decoding = .infinity
    calibration.sampling = 1e5
    calibration.messages = .infinity
    let layout = StepPlan.Layout(hosts: 2, ranksPerHost: 1, threads: 2, expert: 1, accumulationSteps: 1)
    let plan = StepPlan(configuration, parameters, layout, PlanFixture.cluster, promptLength: 8, calibration)
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
}
