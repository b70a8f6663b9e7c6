import CKernels
import TestSupport
import Testing

@Suite("Fixed-point sums")
struct FixedPointTests {
  private static let unit = 0x1p50
  private static let bound = Int64(1) << 61

  @Test("An element adds round(x · 2⁵⁰) exactly, ties to even")
  func exactness() {
    var x: [Float] = [0, -0.0, 1, -1, 0x1p-50, 0x1p-51, 0x1.8p-50, -0x1p-51, -0x1.8p-50]
    x += [2047.9999, -2047.9999, 0x1p-60]
    var sum = [Int64](repeating: 5, count: x.count)
    #expect(ck_fixed_add(Int64(x.count), Self.bound, x, &sum) == -1)
    let expected = x.map { 5 + Int64((Double($0) * Self.unit).rounded(.toNearestOrEven)) }
    #expect(sum == expected)
    #expect(Array(sum[4..<9]) == [6, 5, 7, 5, 3])
  }

  @Test("The sum does not depend on the order or on partial sums")
  func order() {
    var numbers = RandomNumbers(seed: 19)
    let rows = (0..<200).map { _ in numbers.normals(33, scale: 0.3) }
    func total(_ rows: some Sequence<[Float]>) -> [Int64] {
      var sum = [Int64](repeating: 0, count: 33)
      for row in rows { #expect(ck_fixed_add(33, Self.bound, row, &sum) == -1) }
      return sum
    }
    let forward = total(rows)
    #expect(total(rows.reversed()) == forward)
    let halves = zip(total(rows[..<71]), total(rows[71...])).map { $0 + $1 }
    #expect(halves == forward)
    var values = [Float](repeating: 0, count: 33)
    ck_fixed_read(33, forward, &values)
    for column in 0..<33 {
      let exact = rows.reduce(0.0) { $0 + Double($1[column]) }
      #expect(abs(Double(values[column]) - exact) <= 200 * 0x1p-51 + abs(exact) * 0x1p-24)
    }
  }

  @Test("Numbers that are not finite, too large or that overflow the sum are reported by index")
  func overflow() {
    for bad: Float in [.nan, .infinity, -.infinity, 2048, -2048, 3e38] {
      var sum = [Int64](repeating: 0, count: 4)
      #expect(ck_fixed_add(4, Self.bound, [1, 2, bad, 3], &sum) == 2)
    }
    let bound = Self.bound
    var high = [bound - 1, bound - 1]
    #expect(ck_fixed_add(2, Self.bound, [0x1p-50, 0x1p-49], &high) == 1)
    #expect(high == [bound, bound - 1])
    var low = [-bound + 1]
    #expect(ck_fixed_add(1, Self.bound, [-0x1p-49], &low) == 0)
    var large = [Int64(0)]
    #expect(ck_fixed_add(1, Self.bound, [2047], &large) == -1)
    #expect(ck_fixed_add(1, Self.bound, [2047], &large) == 0)
  }

  @Test("The first number that is not finite is found, wherever it stands")
  func firstNonfinite() {
    for count in [1, 255, 256, 257, 1000] {
      var x = [Float](repeating: .greatestFiniteMagnitude, count: count)
      #expect(ck_first_nonfinite(Int64(count), x) == -1)
      for index in Set([0, count / 2, count - 1]) {
        for bad: Float in [.nan, .infinity, -.infinity] {
          var broken = x
          broken[index] = bad
          broken[count - 1] = index == count - 1 ? bad : .nan
          #expect(ck_first_nonfinite(Int64(count), broken) == Int64(index))
        }
      }
      x = []
    }
    #expect(ck_first_nonfinite(0, []) == -1)
  }
}
