import Layers
import TestSupport
import Testing
import Tensors

@Suite("Fixed-point sums of a step") struct FixedPointSumsTests {
  private static let count = 37

  /// What ranks that each add some rows make together, as `GradientReducer` does: low and high sums are added alone.
  private func total(_ shares: [[[Float]]]) -> (values: [UInt32], carried: Bool) {
    let parts = shares.map { rows in
      let sums = FixedPointSums(count: Self.count, ranks: shares.count)
      for row in rows { #expect(sums.add(row, count: Self.count, at: 0) == nil) }
      return sums
    }
    let whole = FixedPointSums(count: Self.count, ranks: shares.count)
    let carried = parts.contains { $0.high != nil }
    for index in 0..<Self.count {
      var sum = Int64(0)
      for part in parts {
        let (next, overflow) = sum.addingReportingOverflow(part.low[index])
        #expect(!overflow)
        sum = next
      }
      whole.low[index] = sum
      if carried { whole.makeHigh()[index] = parts.reduce(0) { $0 + ($1.high?[index] ?? 0) } }
    }
    var values = [Float](repeating: 0, count: Self.count)
    whole.read(0..<Self.count, into: &values)
    return (values.map(\.bitPattern), carried)
  }

  @Test(
    "Any order and any division over ranks give the same bits, also beyond 64 bits",
    arguments: [Float(0.01), 1, 700, 2040, 1e5, 1e11])
  func layouts(scale: Float) {
    var numbers = RandomNumbers(seed: 51)
    // All of one sign in half of the columns, so that sums grow; scales of 1e5 and more mix with small ones.
    let rows = (0..<64).map { row in
      numbers.normals(Self.count, scale: 1).enumerated().map { column, value in
        let size = max(-1, min(1, value / 4)) * scale
        return row % 3 == 2 ? value : column % 2 == 0 ? abs(size) : size
      }
    }
    let alone = total([rows])
    #expect(total([rows.reversed()]).values == alone.values)
    for ranks in [2, 3, 8, 64] {
      let shares = (0..<ranks).map { rank in rows.indices.filter { $0 % ranks == rank }.map { rows[$0] } }
      #expect(total(shares).values == alone.values, "\(ranks) ranks")
    }
    #expect(alone.carried == (scale > 600))
    for column in 0..<Self.count {
      let exact = rows.reduce(0.0) { $0 + Double($1[column]) }
      let value = Double(Float(bitPattern: alone.values[column]))
      #expect(abs(value - exact) <= abs(exact) * 0x1p-23 + 64 * 0x1p-51)
    }
  }

  @Test("What cannot be added follows from the value alone: not finite, or not below 2⁴⁰")
  func range() {
    for ranks in [1, 8] {
      let sums = FixedPointSums(count: 3, ranks: ranks)
      for bad: Float in [.nan, .infinity, -.infinity, 0x1p40, -0x1p40, 3e38] {
        #expect(sums.add([1, bad, 1], count: 3, at: 0) == 1)
      }
      for _ in 0..<100 { #expect(sums.add([Float(0x1p40).nextDown, -0x1p39, 1], count: 3, at: 0) == nil) }
    }
  }

  @Test("Sums within 64 bits have no second part, and forgetting drops it")
  func clearing() {
    let pool = WorkerPool(threads: 1)
    let sums = FixedPointSums(count: 2, ranks: 1)
    #expect(sums.add([1000, -1000], count: 2, at: 0) == nil)
    #expect(sums.high == nil)
    #expect(sums.add([1e6, 0], count: 2, at: 0) == nil)
    #expect(sums.high != nil)
    sums.clear(pool)
    var values: [Float] = [1, 1]
    sums.read(0..<2, into: &values)
    #expect(sums.high == nil && values == [0, 0])
  }
}
