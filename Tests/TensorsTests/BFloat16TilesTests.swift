import CKernels
import Tensors
import TestSupport
import Testing

@Suite("bfloat16 products in the order of tiles")
struct BFloat16TilesTests {
  /// The left operand as rows or as pairs of rows, the right one as panels or as pairs of rows.
  struct Layout: Sendable, CaseIterable, CustomTestStringConvertible {
    let leftRows: Bool
    let rightPanels: Bool
    static let allCases = [false, true].flatMap { left in [false, true].map { Layout(leftRows: left, rightPanels: $0) }
    }
    var testDescription: String {
      "\(leftRows ? "rows" : "pairs of rows") times \(rightPanels ? "panels" : "pairs of rows")"
    }
  }

  /// Words of operands, and their description.
  private struct Part {
    let a: AlignedBuffer<UInt32>
    let b: AlignedBuffer<UInt32>
    let product: ck_bf16_product

    init(_ numbers: inout RandomNumbers, m: Int, n: Int, pairs: Int, _ layout: Layout) {
      let panels = (n + 15) / 16
      let stride = panels * 16 + 16
      a = AlignedBuffer(count: max(1, m * pairs))
      b = AlignedBuffer(count: max(1, stride * pairs))
      for buffer in [a, b] {
        let values = numbers.normals(2 * buffer.count)
        for index in 0..<buffer.count {
          // Wide exponents, and some subnormal numbers.
          let scale: Float = index % 13 == 0 ? 0x1p-130 : index % 7 == 0 ? 0x1p20 : 1
          let (even, odd) = (ck_bf16_from_f32(values[2 * index] * scale), ck_bf16_from_f32(values[2 * index + 1]))
          buffer.pointer[index] = UInt32(even) | UInt32(odd) << 16
        }
      }
      product = ck_bf16_product(
        a: a.pointer, a_row: layout.leftRows ? Int64(pairs) : 1, a_pair: layout.leftRows ? 1 : Int64(m), b: b.pointer,
        b_panel: layout.rightPanels ? Int64(16 * pairs) : 16, b_pair: layout.rightPanels ? 16 : Int64(stride),
        pairs: Int64(pairs))
    }
  }

  private func expectExact(
    _ table: KernelTable, m: Int, n: Int, pairs: [Int], _ layout: Layout, accumulate: Bool
  ) {
    var numbers = RandomNumbers(seed: UInt64(m * 1000 + n))
    let parts = pairs.map { Part(&numbers, m: m, n: n, pairs: $0, layout) }
    let products = parts.map(\.product)
    let bias = m % 2 == 0 ? numbers.normals(n) : nil
    var expected = numbers.normals(m * (n + 2))
    var actual = expected
    ck_reference_gemm_bf16_tiles(
      Int64(m), Int64(n), products, Int64(parts.count), bias, &expected, Int64(n + 2), accumulate)
    table.pointer.pointee.gemm_bf16_tiles(
      Int64(m), Int64(n), products, Int64(parts.count), bias, &actual, Int64(n + 2), accumulate)
    withExtendedLifetime(parts) {
      #expect(sameBits(actual, expected), "m \(m), n \(n), pairs \(pairs), accumulate \(accumulate)")
    }
  }

  @Test(
    "Every instruction set equals the scalar specification bit for bit", arguments: KernelTable.all, Layout.allCases)
  func products(_ table: KernelTable, _ layout: Layout) {
    for m in [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 48, 49, 70] {
      for n in [1, 15, 16, 17, 33, 64, 80] {
        expectExact(table, m: m, n: n, pairs: [16, 1, 0, 21], layout, accumulate: m % 3 == 0)
      }
    }
    // More steps than a block holds, and no pair at all.
    expectExact(table, m: 35, n: 40, pairs: [530, 3], layout, accumulate: false)
    expectExact(table, m: 5, n: 17, pairs: [0], layout, accumulate: true)
    expectExact(table, m: 6, n: 17, pairs: [], layout, accumulate: false)
  }

  /// The sum of one row with one column, `values` as pairs of factors.
  private func sum(_ table: KernelTable, _ values: [(Float, Float)], from start: Float = 0) -> Float {
    let pairs = (values.count + 1) / 2
    func words(_ value: (Int) -> Float) -> [UInt32] {
      (0..<pairs).map { pair in
        let odd = 2 * pair + 1 < values.count ? UInt32(ck_bf16_from_f32(value(2 * pair + 1))) << 16 : 0
        return UInt32(ck_bf16_from_f32(value(2 * pair))) | odd
      }
    }
    let a = words { values[$0].0 }
    let column = words { values[$0].1 }
    var b = [UInt32](repeating: 0, count: 16 * pairs)
    for pair in 0..<pairs { b[16 * pair] = column[pair] }
    // Enough rows for tiles.
    let rows = 5
    var c = [Float](repeating: start, count: rows)
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        let part = ck_bf16_product(
          a: a.baseAddress!, a_row: 0, a_pair: 1, b: b.baseAddress!, b_panel: 0, b_pair: 16, pairs: Int64(pairs))
        table.pointer.pointee.gemm_bf16_tiles(Int64(rows), 1, [part], 1, nil, &c, 1, true)
      }
    }
    #expect(c.allSatisfy { $0.bitPattern == c[0].bitPattern })
    return c[0]
  }

  @Test("Even and odd values have a sum each, steps of sixteen pairs begin anew", arguments: KernelTable.all)
  func order(_ table: KernelTable) {
    let big: Float = 0x1p24
    // The even sum holds 2²⁴ and loses each 1; the odd sum keeps its sixteen.
    let step: [(Float, Float)] = [(big, 1)] + (1..<32).map { _ in (1, 1) }
    #expect(sum(table, step) == big + 16)
    // A second step has fresh sums: all of its 32 arrive.
    let ones = [(Float, Float)](repeating: (1, 1), count: 32)
    #expect(sum(table, ones + ones) == 64)
    #expect(sum(table, ones, from: big) == big + 32)
    #expect(sum(table, step + ones) == big + 48)
  }

  @Test("Subnormal numbers count as zero, and zeros complete a step", arguments: KernelTable.all)
  func subnormals(_ table: KernelTable) {
    #expect(sum(table, [(0x1p-130, 1), (1, 0x1p-130)]) == 0)
    #expect(sum(table, [(0x1p-100, 0x1p-100)]) == 0)
    #expect(sum(table, [(1, 1)], from: 0x1p-130) == 1)
    // A product below the smallest number is −0 in a whole step, and +0 after the zeros of one that is not.
    let zeros = [(Float, Float)](repeating: (0, 0), count: 30)
    let tiny: [(Float, Float)] = [(-0x1p-100, 0x1p-100), (-0x1p-100, 0x1p-100)]
    #expect(sum(table, zeros + tiny, from: -0.0).bitPattern == (-0.0 as Float).bitPattern)
    #expect(sum(table, tiny, from: -0.0).bitPattern == (0.0 as Float).bitPattern)
  }
}
