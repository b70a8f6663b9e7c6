import Foundation
import Layers
import LowBit
import Models
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("The balance loss by hand")
struct BalanceLossTests {
  @Test("The top level's share is n Σ f P over the chosen slots, when the lower levels are balanced by construction")
  func topLevel() throws {
    // One expert and one agent make the lower levels exactly 1 each; two mini-MoEs, one slot a token.
    let tiny = try TinyModel(seed: 72) { sizes in
      sizes.numLayers = 1
      sizes.numMiniMoes = 2
      sizes.miniMoeTopK = 1
      sizes.numExpertsPerMini = 1
      sizes.expertTopK = 1
      sizes.numMicrosPerMini = 1
      sizes.microTopK = 1
    }
    var numbers = RandomNumbers(seed: 73)
    let tokens = 7
    let x = tiny.matrix(numbers.normals(tokens * 20), columns: 20)
    let c = tiny.context.arena.zeros(tokens, 20)
    let report = BalanceReport(
      terms: BalanceTerms(
        lengths: ArenaList([tokens], in: tiny.context.arena), coefficients: ArenaList([1], in: tiny.context.arena),
        layers: 1),
      members: 2, loads: tiny.model.makeLoads(), in: tiny.context.arena)
    let layer = tiny.model.layers[0]
    let spans = ArenaList([Span(first: 0, count: tokens)], in: tiny.context.arena)
    let saved = layer.forward(
      x, coordination: c, into: tiny.context.arena.matrix(tokens, 20), tiny.pass(spans, report))

    // The router's probabilities again, in double, from the state after attention.
    let norm = tiny.masters.values(tiny.model.table.require("layers.0.moe_norm.weight"))
    let router = tiny.masters.values(tiny.model.table.require("layers.0.router.weight"))
    let bias = tiny.masters.values(tiny.model.table.require("layers.0.router.bias"))
    var mean = [0.0, 0.0]
    var share = [0.0, 0.0]
    for token in 0..<tokens {
      let row = saved.afterAttention.row(token)
      let square = (0..<20).reduce(0.0) { $0 + Double(row[$1]) * Double(row[$1]) } / 20
      let scores = (0..<2).map { choice in
        (0..<20).reduce(0.0) {
          $0 + Double(row[$1]) / (square + 1e-6).squareRoot() * Double(norm[$1]) * Double(router[choice * 20 + $1])
        }
      }
      let sum = exp(scores[0]) + exp(scores[1])
      let p = scores.map { exp($0) / sum }
      let expected = p[1] + Double(bias[1]) > p[0] + Double(bias[0]) ? 1 : 0
      #expect(Int(saved.chosen[token]) == expected)
      for choice in 0..<2 { mean[choice] += p[choice] / Double(tokens) }
      share[expected] += 1 / Double(tokens)
    }
    let top = 2 * (share[0] * mean[0] + share[1] * mean[1])
    #expect(abs(report.auxiliaryLoss(0) - (top + 1 + 1) / 3) < 1e-6)
  }
}
