import Configuration
import Planning
import Testing

@Suite struct LayoutSearchTests {
  @Test(
    "Layouts are sorted by time; layouts without enough memory, trajectories or divisors are rejected with the reason")
  func search() throws {
    let configuration = PlanFixture.configuration {
      $0.rl.batchSize = 1
      $0.rl.numTrajectories = 3
    }
    let parameters = try PlanFixture.parameters(configuration)
    let search = LayoutSearch(configuration, parameters, PlanFixture.cluster, promptLength: 8, .standard)
    #expect(
      search.choices.map { [$0.layout.ranksPerHost, $0.layout.expert] }.sorted { $0[1] < $1[1] } == [[1, 1], [1, 2]])
    #expect(search.choices.allSatisfy { $0.layout.threads == 2 && $0.efficiency > 0 && $0.efficiency < 1 })
    let reasons = Dictionary(uniqueKeysWithValues: search.rejections.map { ($0.layouts, $0.reason) })
    #expect(reasons["1 rank per host, P 4"] == "P must divide 2 ranks")
    #expect(
      reasons["2 ranks per host"] == "4 ranks need a trajectory each, but rl.batch_size · rl.num_trajectories is 3")
    #expect(reasons["other P"]?.contains("model.num_mini_moes 4") == true)

    let whole = MemoryPlan(configuration, parameters, ranks: 2, promptLength: 8).total
    var tight = PlanFixture.cluster
    tight.memory = Int(Double(whole) / LayoutSearch.usableMemory) - 1
    let fitted = LayoutSearch(configuration, parameters, tight, ranksPerHost: 1, promptLength: 8, .standard)
    #expect(fitted.choices.first { $0.layout.expert == 1 }?.layout.accumulationSteps == 2)
    tight.memory = 1000
    let none = LayoutSearch(configuration, parameters, tight, ranksPerHost: 1, promptLength: 8, .standard)
    #expect(none.choices.isEmpty)
    #expect(none.rejections.contains { $0.layouts == "1 rank per host, P 1" && $0.reason.hasPrefix("a rank needs ") })
  }
}
