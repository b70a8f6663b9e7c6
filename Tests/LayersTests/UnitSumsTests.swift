import Layers
import LowBit
import Parameters
import TestSupport
import Testing
import Tensors

/// Products of stacks that go into fixed-point sums against those that go into fp32 gradients.
@Suite
struct UnitSumsTests {
  private static let quantum = 0x1p-50

  /// A stack of two matrices whose products are several tiles with a smaller last one, and its bias.
  private func bench(_ format: NumberFormat) -> LayerBench {
    LayerBench(
      [.linear("w", [2, 150, 256], format), .dense("b", [2, 150])], int4Group: 64, threads: 2, seed: 35)
  }

  /// Two units of 7 and of 5 rows for the second matrix, in two products each.
  private func add(_ bench: LayerBench, _ gradients: Gradients, _ rows: Int, _ dy: Matrix, _ x: Matrix) {
    let layer = Linear(weight: bench.id("w"), bias: bench.id("b"))
    gradients.unit(bench.context) { unit in
      for part in [0..<rows / 2, rows / 2..<rows] {
        let input = layer.input(x.rows(part), bench.forward)
        layer.backward(
          dy.rows(part), input, matrix: 1, into: nil, BackwardLane(bench.weights, unit, bench.context.main))
      }
    }
  }

  @Test(
    "Sums are the fp32 gradients of the units, each rounded to quanta", arguments: [NumberFormat.int4, .int8, .bf16])
  func values(_ format: NumberFormat) {
    let bench = bench(format)
    let sums = FixedPointSums(count: bench.gradients.buffer.count, ranks: 1)
    let fixed = Gradients(bench.gradients, mixedPrecision: true, sums: UnitSums(sums, layout: bench.gradients))
    let plain = ParameterStore(bench.table)
    var expected = [Int64](repeating: 0, count: sums.count)
    for rows in [7, 5] {
      let (dy, x) = (bench.random(rows, 150), bench.random(rows, 256))
      add(bench, fixed, rows, dy, x)
      plain.clear()
      add(bench, Gradients(plain, mixedPrecision: true), rows, dy, x)
      for (index, value) in plain.values(bench.id("w")).enumerated() {
        expected[plain.offset(bench.id("w")) + index] += Int64((Double(value) / Self.quantum).rounded(.toNearestOrEven))
      }
    }
    #expect(fixed.takeFailure() == nil)
    #expect(sums.low.array == expected)
    #expect(sums.high == nil)
    // The first matrix had no rows, the second has; the bias is no stack, and stays in fp32.
    let first = plain.offset(bench.id("w"))
    #expect(expected[first..<first + 150 * 256].allSatisfy { $0 == 0 })
    #expect(expected[first + 150 * 256..<first + 2 * 150 * 256].contains { $0 != 0 })
    #expect(bench.gradients.values(bench.id("b")).contains { $0 != 0 })
    #expect(bench.gradients.values(bench.id("w")).allSatisfy { $0 == 0 })
  }

  @Test("A product that is not finite names its tensor, once", arguments: [0, 149])
  func nonfinite(column: Int) {
    let bench = bench(.int8)
    let sums = FixedPointSums(count: bench.gradients.buffer.count, ranks: 1)
    let fixed = Gradients(bench.gradients, mixedPrecision: true, sums: UnitSums(sums, layout: bench.gradients))
    let (dy, x) = (bench.random(4, 150), bench.random(4, 256))
    dy.row(3)[column] = .infinity
    add(bench, fixed, 4, dy, x)
    #expect(fixed.takeFailure() == bench.id("w"))
    #expect(fixed.takeFailure() == nil)
  }
}
