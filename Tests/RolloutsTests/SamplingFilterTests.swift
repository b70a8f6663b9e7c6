import Foundation
import Rollouts
import Testing

@Suite("Sampling filters")
struct SamplingFilterTests {
  /// The tokens that transformers keeps: top-k, then top-p of the renormalised rest, then min-p.
  private static func kept(_ logp: [Float], topK: Int, topP: Double, minP: Double) -> Set<Int> {
    var order = logp.indices.sorted { logp[$0] != logp[$1] ? logp[$0] > logp[$1] : $0 < $1 }
    if topK > 0 { order = Array(order.prefix(topK)) }
    let whole = order.reduce(0) { $0 + exp(Double(logp[$1])) }
    var mass = 0.0
    var kept: Set<Int> = []
    for index in order {
      let share = exp(Double(logp[index])) / whole
      // A boundary that depends on rounding proves nothing.
      if kept.isEmpty || mass < topP - 1e-6 { kept.insert(index) }
      mass += share
    }
    let largest = logp[order[0]]
    return kept.filter { exp(Double(logp[$0] - largest)) >= minP - 1e-6 }
  }

  @Test(
    "Sampled tokens are exactly those that top-k, top-p of the rest and min-p keep",
    arguments: [
      (2, 0.3, 0.0), (2, 0.6, 0.0), (5, 0.5, 0.0), (5, 0.9, 0.2), (0, 0.8, 0.3), (0, 1.0, 0.4), (3, 1.0, 0.5),
      (19, 0.99, 0.0), (0, 1.0, 1.0), (20, 0.4, 0.0),
    ])
  func order(topK: Int, topP: Double, minP: Double) throws {
    let policy = try SamplerTests.Policy()
    var options = SamplingOptions()
    options.temperature = 0.9
    options.topK = topK
    options.topP = topP
    options.minP = minP
    options.maxNewTokens = 1
    let sampler = Sampler(model: policy.model, options: options, endToken: -1, seed: 3)
    let request = Sampler.Request(prompt: [1, 2, 4], trajectories: Array(0..<400))
    let drawn = try sampler.sample([request], policy.weights, policy.context)[0]
    let logp = policy.distributions(drawn[0], temperature: 0.9).logp[2]
    let wanted = Self.kept(logp, topK: topK, topP: topP, minP: minP)
    let found = Set(drawn.map { Int($0.generatedTokens[0]) })
    #expect(found.isSubset(of: wanted), "\(found) of \(wanted)")
    // 400 draws find every token with a probability of at least 1/20.
    let mass = wanted.reduce(0) { $0 + exp(Double(logp[$1])) }
    for index in wanted where exp(Double(logp[index])) / mass > 0.05 { #expect(found.contains(index)) }
  }

  @Test("Top-p is a share of the tokens that top-k keeps: of two nearly equal tokens it keeps the first")
  func renormalized() throws {
    let policy = try SamplerTests.Policy()
    var options = SamplingOptions()
    options.temperature = 1e6
    options.topK = 2
    options.topP = 0.3
    options.maxNewTokens = 1
    let sampler = Sampler(model: policy.model, options: options, endToken: -1, seed: 3)
    let request = Sampler.Request(prompt: [1, 2, 4], trajectories: Array(0..<50))
    let drawn = try sampler.sample([request], policy.weights, policy.context)[0]
    #expect(Set(drawn.map { $0.generatedTokens[0] }).count == 1)
  }

  @Test(
    "Logits that are not finite are an error that names the position, with any filters", arguments: 0..<6)
  func nonfinite(kind: Int) throws {
    let policy = try SamplerTests.Policy()
    let masters = policy.model.initialParameters(seed: 5, pool: policy.context.pool)
    let norm = policy.model.table.require("final_norm.weight")
    masters.pointer(norm)[0] = kind == 5 ? .infinity : .nan
    policy.model.pack(masters, into: policy.weights, policy.context)
    var options = SamplingOptions()
    options.maxNewTokens = 4
    switch kind {
    case 0: options.greedy = true
    case 1: options.topK = 5
    case 2: options.topP = 0.9
    case 3: options.minP = 0.1
    default: options.repetitionPenalty = kind == 4 ? 1.2 : 1
    }
    let sampler = Sampler(model: policy.model, options: options, endToken: 3, seed: 1)
    let request = Sampler.Request(prompt: [1, 2], trajectories: [7, 8])
    let error = #expect(throws: SamplingError.self) {
      try sampler.sample([request], policy.weights, policy.context)
    }
    #expect(error == SamplingError(trajectory: 7, position: 2))
    #expect(error?.description.contains("not finite") == true)
  }
}
