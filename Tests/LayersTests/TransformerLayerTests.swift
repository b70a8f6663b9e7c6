import Layers
import LowBit
import Models
import Parameters
import Tensors
import TestSupport
import Testing

/// One layer with attention, council, mini-MoEs and routers, and with the balance loss in the objective.
@Suite("A layer's attention, routing and mini-MoEs")
struct TransformerLayerTests {
  /// The loss ⟨projection, y⟩ + Σ coefficient · L_aux over sequences of the given lengths.
  final class Bench {
    let tiny: TinyModel
    let lengths: [Int]
    let spans: ArenaList<Span>
    let x: Matrix
    let c: Matrix
    let projection: [Float]
    let coefficients: [Float]

    init(_ tiny: TinyModel, lengths: [Int], seed: UInt64) {
      self.tiny = tiny
      self.lengths = lengths
      var first = 0
      let spans = lengths.map { length in
        defer { first += length }
        return Span(first: first, count: length)
      }
      self.spans = ArenaList(spans, in: tiny.context.arena)
      var numbers = RandomNumbers(seed: seed)
      let dim = tiny.model.configuration.dim
      let rows = lengths.reduce(0, +)
      x = tiny.matrix(numbers.normals(rows * dim), columns: dim)
      c = tiny.matrix(numbers.normals(rows * dim, scale: 0.5), columns: dim)
      projection = numbers.normals(rows * dim)
      coefficients = lengths.indices.map { 3 + Float($0) }
    }

    func report(_ loads: RoutingLoads? = nil) -> BalanceReport {
      let terms = BalanceTerms(
        lengths: ArenaList(lengths, in: tiny.context.arena),
        coefficients: ArenaList(coefficients, in: tiny.context.arena), layers: tiny.model.configuration.numLayers)
      return BalanceReport(
        terms: terms, members: tiny.model.council.members.count, loads: loads ?? tiny.model.makeLoads(),
        in: tiny.context.arena)
    }

    func forward(_ y: Matrix, _ report: BalanceReport) -> TransformerLayer.Saved {
      tiny.model.layers[0].forward(x, coordination: c, into: y, tiny.pass(spans, report))
    }

    /// The loss, or nil where a router chooses otherwise than `loads` says.
    func loss(_ loads: [Int64]) -> Double? {
      tiny.context.arena.scoped {
        let y = tiny.context.arena.matrix(x.rows, x.columns)
        let counted = tiny.model.makeLoads()
        let report = report(counted)
        _ = forward(y, report)
        guard counted.counts.array == loads else { return nil }
        return coefficients.indices.reduce(inner(projection, y)) {
          $0 + report.auxiliaryLoss($1) * Double(coefficients[$1])
        }
      }
    }

    /// Fills the gradients; returns those of x and of the coordination, and what was chosen how often.
    func gradients() -> (dx: Matrix, dc: Matrix, loads: [Int64]) {
      let y = tiny.context.arena.matrix(x.rows, x.columns)
      let loads = tiny.model.makeLoads()
      let saved = forward(y, report(loads))
      let dx = tiny.matrix(projection, columns: x.columns)
      let dc = tiny.context.arena.zeros(x.rows, x.columns)
      tiny.model.layers[0].backward(
        dx, dCoordination: dc, saved,
        BackwardPassContext(
          council: tiny.model.council, spans: spans, weights: tiny.weights,
          gradients: Gradients(tiny.gradients, mixedPrecision: false), context: tiny.context))
      return (dx, dc, loads.counts.array)
    }

    func disagreements(seed: UInt64) -> [String] {
      let (dx, dc, loads) = gradients()
      return tiny.disagreements(
        seed: seed, inputs: [("x", x, dx), ("c", c, dc)],
        check: FiniteDifference(step: 0.002, coordinates: 12, tolerance: 5e-3, floor: 4e-3),
        wanted: { $0.hasPrefix("layers.0.") || $0.hasPrefix("mini_moes.") }
      ) { loss(loads) }
    }
  }

  @Test("The gradients of every parameter and input agree with difference quotients, balance loss included")
  func gradients() throws {
    let bench = Bench(try TinyModel(seed: 261), lengths: [1, 4, 2], seed: 62)
    let found = bench.disagreements(seed: 63)
    #expect(found.isEmpty, "\(found.prefix(8))")
  }

  @Test("So they do when biases fix the choice, and mini-MoEs, experts and agents stay empty")
  func fixedChoice() throws {
    let tiny = try TinyModel(seed: 64) { sizes in
      sizes.numMiniMoes = 3
      sizes.miniMoeTopK = 2
      sizes.microTopK = 3
    }
    for id in tiny.model.table.ids where tiny.model.table[id].role == .balanceBias {
      for index in tiny.masters.values(id).indices { tiny.masters.values(id)[index] = Float(index) * 2 }
    }
    tiny.pack()
    let bench = Bench(tiny, lengths: [4, 1], seed: 65)
    let found = bench.disagreements(seed: 66)
    #expect(found.isEmpty, "\(found.prefix(8))")
    for id in tiny.model.table.ids where tiny.model.table[id].name.hasPrefix("mini_moes.0.") {
      #expect(tiny.gradients.values(id).allSatisfy { $0 == 0 }, "\(tiny.model.table[id].name)")
    }
    let used = tiny.gradients.values(tiny.model.table.require("mini_moes.1.experts.up.weight"))
    #expect(used[0..<600].allSatisfy { $0 == 0 } && used[600...].contains { $0 != 0 })
  }

  @Test("So they do when every choice is taken: top-k equal to the count at all three levels")
  func everyChoice() throws {
    let tiny = try TinyModel(seed: 67) { sizes in
      sizes.miniMoeTopK = 3
      sizes.expertTopK = 3
      sizes.microTopK = 5
    }
    let bench = Bench(tiny, lengths: [3, 2], seed: 68)
    let found = bench.disagreements(seed: 69)
    #expect(found.isEmpty, "\(found.prefix(8))")
    // Every choice has the same share, so L_aux is its minimum, 1 per sequence over the layers of the model.
    let report = bench.report()
    _ = bench.forward(tiny.context.arena.matrix(5, 20), report)
    for sequence in 0..<2 { #expect(abs(report.auxiliaryLoss(sequence) - 0.5) < 1e-6) }
  }

  @Test("L_aux and the loads are those of the definition, computed from the choices")
  func balance() throws {
    let tiny = try TinyModel(seed: 70)
    let bench = Bench(tiny, lengths: [6, 9], seed: 71)
    let loads = tiny.model.makeLoads()
    let report = bench.report(loads)
    let saved = bench.forward(tiny.context.arena.matrix(15, 20), report)
    let chosen = (0..<30).map { Int(saved.chosen[$0]) }
    let counts = (0..<3).map { choice in chosen.filter { $0 == choice }.count }
    #expect((0..<3).map { Int(loads.layer(0)[$0]) } == counts)
    #expect((0..<3).allSatisfy { loads.layer(1)[$0] == 0 })
    for member in 0..<3 {
      // Each token that a mini-MoE received took two experts and two micro agents.
      #expect((0..<3).reduce(0) { $0 + Int(loads.experts(member)[$1]) } == 2 * counts[member])
      #expect((0..<5).reduce(0) { $0 + Int(loads.micros(member)[$1]) } == 2 * counts[member])
    }
    // A sequence's loss does not depend on the other sequences.
    for (index, span) in bench.spans.enumerated() {
      let alone = BalanceReport(
        terms: BalanceTerms(
          lengths: ArenaList([span.count], in: tiny.context.arena),
          coefficients: ArenaList([1], in: tiny.context.arena), layers: 2),
        members: 3, loads: tiny.model.makeLoads(), in: tiny.context.arena)
      let spans = ArenaList([Span(first: 0, count: span.count)], in: tiny.context.arena)
      _ = tiny.model.layers[0].forward(
        bench.x.rows(span.rows), coordination: bench.c.rows(span.rows),
        into: tiny.context.arena.matrix(span.count, 20), tiny.pass(spans, alone))
      #expect(alone.auxiliaryLoss(0) == report.auxiliaryLoss(index))
    }
  }
}
