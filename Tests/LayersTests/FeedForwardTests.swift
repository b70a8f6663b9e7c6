import Layers
import LowBit
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("Feed-forward networks")
struct FeedForwardTests {
  /// Three networks over nine rows, of which the second gets none.
  private static let starts: [Int32] = [0, 4, 4, 9]

  private func bench(_ format: NumberFormat, seed: UInt64) -> LayerBench {
    LayerBench(
      [
        .linear("up", [3, 13, 10], format), .dense("up.bias", [3, 13]), .linear("down", [3, 10, 13], format),
        .dense("down.bias", [3, 10]),
      ], int4Group: 13, seed: seed)
  }

  private func network(_ bench: LayerBench) -> FeedForward {
    FeedForward(
      up: Linear(weight: bench.id("up"), bias: bench.id("up.bias")),
      down: Linear(weight: bench.id("down"), bias: bench.id("down.bias")))
  }

  private func offsets(_ bench: LayerBench) -> Offsets {
    Offsets(bench.context.arena.view(of: Self.starts))
  }

  @Test("A stack's gradients agree with difference quotients, with gates and without", arguments: [false, true])
  func stack(gated: Bool) {
    let bench = bench(.fp32, seed: 41)
    let layer = network(bench)
    let offsets = offsets(bench)
    let (x, dx, projection) = (bench.random(9, 10), bench.random(9, 10), bench.random(9, 10))
    let (gates, dGates) = (bench.random(9, 1), bench.random(9, 1))
    dx.clear()
    let y = bench.context.arena.matrix(9, 10)
    func forward() -> FeedForward.Saved {
      layer.forward(layer.up.input(x, bench.forward), offsets: offsets, into: y, bench.forward)
    }
    let saved = forward()
    let dy = bench.context.arena.matrix(9, 10)
    dy.copy(from: projection)
    layer.backward(
      dy, gates: gated ? FeedForward.Gates(gates.vector, gradients: dGates.vector) : nil, saved, into: dx,
      bench.backward())
    var inputs: [(name: String, values: Matrix, gradient: Matrix)] = [("x", x, dx)]
    if gated { inputs.append(("gates", gates, dGates)) }
    let found = bench.disagreements(inputs: inputs) {
      _ = forward()
      return (0..<9).reduce(0.0) { sum, row in
        let part = inner(Array(projection.rows(row..<row + 1).array), y.rows(row..<row + 1))
        return sum + part * (gated ? Double(gates.pointer[row]) : 1)
      }
    }
    #expect(found.isEmpty, "\(found)")
    #expect(bench.gradients.values(bench.id("up"))[130..<260].allSatisfy { $0 == 0 })
  }

  @Test("A stack over sorted rows equals each network on its own rows, bit for bit", arguments: NumberFormat.allCases)
  func sorted(_ format: NumberFormat) {
    let bench = bench(format, seed: 42)
    let layer = network(bench)
    let x = bench.random(9, 10)
    let whole = bench.context.arena.matrix(9, 10)
    _ = layer.forward(layer.up.input(x, bench.forward), offsets: offsets(bench), into: whole, bench.forward)
    for row in 0..<9 {
      let alone = bench.context.arena.matrix(1, 10)
      let starts = bench.context.arena.view(of: Self.starts.map { $0 > Int32(row) ? 1 : 0 } as [Int32])
      _ = layer.forward(
        layer.up.input(x.rows(row..<row + 1), bench.forward), offsets: Offsets(starts), into: alone, bench.forward)
      #expect(sameBits(alone.array, whole.rows(row..<row + 1).array))
    }
  }

  @Test("A gated gradient equals the plain gradient of the scaled rows", arguments: NumberFormat.allCases)
  func gates(_ format: NumberFormat) {
    // With gates that are powers of two every product scales exactly, so the bits must agree.
    func gradients(gated: Bool) -> (dx: [Float], parameters: [Float]) {
      let bench = bench(format, seed: 43)
      let layer = network(bench)
      let (x, dx, dy) = (bench.random(9, 10), bench.random(9, 10), bench.random(9, 10))
      dx.clear()
      let gates = (0..<9).map { Float(sign: .plus, exponent: -$0 % 3, significand: 1) }
      let saved = layer.forward(
        layer.up.input(x, bench.forward), offsets: offsets(bench), into: bench.context.arena.matrix(9, 10),
        bench.forward)
      if !gated { for row in 0..<9 { for column in 0..<10 { dy.row(row)[column] *= gates[row] } } }
      let arena = bench.context.arena
      layer.backward(
        dy, gates: gated ? FeedForward.Gates(arena.view(of: gates), gradients: arena.vector(9)) : nil, saved, into: dx,
        bench.backward())
      return (dx.array, bench.gradients.buffer.array)
    }
    let (gated, plain) = (gradients(gated: true), gradients(gated: false))
    #expect(sameBits(gated.dx, plain.dx) && sameBits(gated.parameters, plain.parameters))
  }
}
