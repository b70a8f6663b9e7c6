import Layers
import LowBit
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("Routing")
struct RouterTests {
  /// A router over one-hot rows: token t sees exactly the scores `scores[t]`.
  private func route(_ scores: [[Float]], bias: [Float], topK: Int) -> (chosen: [[Int]], gates: [[Float]], p: [[Float]])
  {
    let count = bias.count
    let bench = LayerBench(
      [
        .linear("router.weight", [count, scores.count]),
        ParameterSpecification("router.bias", [count], .balanceBias, .zeros),
      ], seed: 51)
    for choice in 0..<count {
      for (token, row) in scores.enumerated() {
        bench.masters.pointer(bench.id("router.weight"))[choice * scores.count + token] = row[choice]
      }
      bench.masters.pointer(bench.id("router.bias"))[choice] = bias[choice]
    }
    bench.pack()
    let x = bench.context.arena.zeros(scores.count, scores.count)
    for token in scores.indices { x.row(token)[token] = 1 }
    let router = Router(weight: bench.id("router.weight"), bias: bench.id("router.bias"), count: count, topK: topK)
    let routing = router.forward(x, bench.forward)
    return (
      scores.indices.map { token in (0..<topK).map { Int(routing.chosen[token * topK + $0]) } },
      scores.indices.map { token in (0..<topK).map { routing.gates[token * topK + $0] } },
      scores.indices.map { routing.probabilities.rows($0..<$0 + 1).array }
    )
  }

  @Test("Equal scores go to the lowest index first")
  func ties() {
    let scores: [[Float]] = [[1, 1, 1, 1, 1], [0, 2, 0, 2, 2], [3, 0, 0, 0, 3], [-1, -1, 5, -1, -1]]
    let result = route(scores, bias: [0, 0, 0, 0, 0], topK: 3)
    #expect(result.chosen == [[0, 1, 2], [1, 3, 4], [0, 4, 1], [2, 0, 1]])
    #expect(result.gates[0].allSatisfy { abs($0 - 1.0 / 3) < 1e-7 })
    // A tie that the bias makes: p is 0.25 each, so biased scores are equal in pairs.
    let biased = route([[1, 1, 1, 1]], bias: [0, 0.5, 0, 0.5], topK: 3)
    #expect(biased.chosen == [[1, 3, 0]])
  }

  @Test("The bias decides who is chosen and in which order, but is not in the gates")
  func bias() {
    let scores: [[Float]] = [[2, 1, 0, -1]]
    let result = route(scores, bias: [-1, 0, 0.2, 1], topK: 3)
    #expect(result.chosen == [[3, 2, 1]])
    let p = result.p[0]
    let sum = p[3] + p[2] + p[1]
    #expect(result.gates[0] == [p[3] / sum, p[2] / sum, p[1] / sum])
    #expect(result.gates[0][0] < result.gates[0][2])
    #expect(result.p[0] == route(scores, bias: [0, 0, 0, 0], topK: 1).p[0])
  }

  @Test("All choices taken give gates equal to the probabilities, in descending order")
  func everyChoice() {
    let scores: [[Float]] = [[0.3, -1, 2, 0.9], [1, 1, 1, 1]]
    let result = route(scores, bias: [0, 0, 0, 0], topK: 4)
    #expect(result.chosen == [[2, 3, 0, 1], [0, 1, 2, 3]])
    for token in 0..<2 {
      for slot in 0..<4 {
        #expect(abs(result.gates[token][slot] - result.p[token][result.chosen[token][slot]]) < 1e-7)
      }
    }
    #expect(route([[5]], bias: [0], topK: 1).gates == [[1]])
  }

  @Test("Gates of chosen probabilities that are all 0 are the softmax of the chosen scores")
  func saturated() {
    // exp(−299) is no number above 0: both chosen have p = 0.
    let scores: [[Float]] = [[300, 1, 0, -5], [0, 0.5, 1, 2], [300, -20, -120, 0]]
    let bias: [Float] = [-2, 0.2, 0.1, 0]
    let result = route(scores, bias: bias, topK: 2)
    #expect(result.chosen == [[1, 2], [3, 1], [1, 2]])
    #expect(result.p[0][1] == 0 && result.p[0][2] == 0)
    #expect(abs(result.gates[0][0] - 0.731_058_6) < 1e-6 && abs(result.gates[0][1] - 0.268_941_4) < 1e-6)
    #expect(result.gates[2] == [1, 0])
    // The neighbour's gates are quotients, as ever; alone or together, a token's gates are the same bits.
    let sum = result.p[1][3] + result.p[1][1]
    #expect(result.gates[1] == [result.p[1][3] / sum, result.p[1][1] / sum])
    #expect(route([scores[0]], bias: bias, topK: 2).gates[0] == result.gates[0])
  }

  @Test("Gates hardly change where the two forms meet")
  func boundary() {
    for score: Float in [40, 43, 44, 44.3, 44.4, 45, 50, 80, 86, 100, 200] {
      let gates = route([[score, 0.3, -0.4, -1]], bias: [-2, 0, 0, 0], topK: 2).gates[0]
      #expect(abs(gates[0] - 0.668_187_8) < 1e-5 && abs(gates[1] - 0.331_812_2) < 1e-5, "\(score): \(gates)")
    }
  }

  @Test("Scores that are not a number still give distinct choices within range")
  func nonFinite() {
    for row: [Float] in [[.nan, 0, 0, 0], [.infinity, .infinity, 0, 0], [0, -.infinity, 0, 0]] {
      let chosen = route([row], bias: [0, 0, 0, 0], topK: 3).chosen[0]
      #expect(Set(chosen).count == 3 && chosen.allSatisfy { (0..<4).contains($0) })
    }
  }
}
