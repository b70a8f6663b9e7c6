import CKernels
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Elementwise kernels and row reductions")
struct ElementwiseKernelTests {
  /// Everything that an argument may be: a dense range, tiny and huge numbers, specials.
  static let arguments: [Float] = {
    var values: [Float] = stride(from: -100, through: 100, by: 0.0137).map { Float($0) }
    values += stride(from: -4.5, through: 4.5, by: 0.00071).map { Float($0) }
    values += [0, -0.0, 1, -1, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, -.leastNonzeroMagnitude]
    values += [.leastNormalMagnitude, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 1e-30, -1e-30, 88, -87]
    return values + [Float(88).nextUp, Float(-87).nextDown, Float(1).nextUp, 4, Float(4).nextUp, 1e20, -1e20]
  }()

  @Test("exp, erf and gelu equal the scalar specification bit for bit", arguments: KernelTable.all)
  func specification(_ table: KernelTable) {
    let x = Self.arguments
    var y = x
    let count = Int64(x.count)
    table.pointer.pointee.exponential(count, x, &y)
    #expect(sameBits(y, x.map(ck_reference_exp)))
    table.pointer.pointee.error_function(count, x, &y)
    #expect(sameBits(y, x.map(ck_reference_erf)))
    table.pointer.pointee.gelu(count, x, &y)
    #expect(sameBits(y, x.map(ck_reference_gelu)))
    table.pointer.pointee.sigmoid(count, x, &y)
    #expect(sameBits(y, x.map { 1 / (1 + ck_reference_exp(-$0)) }))
  }

  @Test("A result does not depend on the lane or on what stands beside it", arguments: KernelTable.all)
  func lanes(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 7)
    for count in KernelTable.awkwardSizes {
      let x = numbers.normals(count, scale: 3)
      var whole = x
      table.pointer.pointee.gelu(Int64(count), x, &whole)
      for index in x.indices {
        var alone = [x[index], .nan]
        table.pointer.pointee.gelu(1, x.withUnsafeBufferPointer { $0.baseAddress! + index }, &alone)
        #expect(alone[0].bitPattern == whole[index].bitPattern)
        #expect(alone[1].isNaN)
      }
    }
  }

  @Test("exp is within 2.5 units in the last place of libm's in double between −87 and 88")
  func exponentialAccuracy() {
    var worst = 0.0
    for x in Self.arguments where x >= -87 && x <= 88 {
      worst = max(worst, unitsInLastPlace(ck_reference_exp(x), exp(Double(x))))
    }
    #expect(worst < 2.5)
    #expect(ck_reference_exp(0) == 1)
    #expect(ck_reference_exp(-.infinity) == 0)
    #expect(ck_reference_exp(.nan).isNaN)
  }

  @Test("erf is within 2e-7 and gelu within 4e-7 · max(1, |x|) of libm's in double")
  func errorFunctionAccuracy() {
    var (worst, worstGelu) = (0.0, 0.0)
    for x in Self.arguments where x.isFinite {
      worst = max(worst, abs(Double(ck_reference_erf(x)) - erf(Double(x))))
      let exact = 0.5 * Double(x) * erfc(-Double(x) * 0.5.squareRoot())
      worstGelu = max(worstGelu, abs(Double(ck_reference_gelu(x)) - exact) / max(1, abs(Double(x))))
    }
    #expect(worst < 2e-7)
    #expect(worstGelu < 4e-7)
    #expect(ck_reference_erf(.infinity) == 1 && ck_reference_erf(-.infinity) == -1)
    #expect(ck_reference_erf(-0.0).sign == .minus)
  }

  @Test("Dot, softmax and RMSNorm equal the scalar specification bit for bit", arguments: KernelTable.all)
  func reductions(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 8)
    for count in Array(1...40) + KernelTable.awkwardSizes {
      let (x, y, w) = (numbers.normals(count, scale: 4), numbers.normals(count), numbers.normals(count))
      let width = Int64(count)
      #expect(
        table.pointer.pointee.dot(width, x, y).bitPattern == ck_reference_dot(width, x, y).bitPattern,
        "dot of \(count)")
      // Three rows with a gap of two between them.
      var rows: [Float] = []
      for row in 1...3 { rows += x.map { $0 * Float(row) } + [5, 6] }
      var expected = rows
      table.pointer.pointee.softmax(3, width, &rows, width + 2)
      for row in 0..<3 {
        expected.withUnsafeMutableBufferPointer { ck_reference_softmax(width, $0.baseAddress! + row * (count + 2)) }
      }
      #expect(sameBits(rows, expected), "softmax of \(count)")
      for weights in [w, nil] {
        var (ours, theirs) = ([Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
        var (inverse, expectedInverse) = ([Float(0)], Float(0))
        table.pointer.pointee.rms_norm(1, width, x, weights, 1e-6, &ours, &inverse)
        ck_reference_rms_norm(width, x, weights, 1e-6, &theirs, &expectedInverse)
        #expect(sameBits(ours, theirs) && inverse[0].bitPattern == expectedInverse.bitPattern)
      }
    }
  }

  @Test("softmax takes extremes: equal, far apart and infinite scores", arguments: KernelTable.all)
  func softmaxExtremes(_ table: KernelTable) {
    for row: [Float] in [
      [7, 7, 7, 7], [-3e38, 3e38, 0], [1e4, -1e4], [-.infinity, 0, -.infinity], [.nan, 1], [.infinity, 0], [0, -200],
    ] {
      var (ours, theirs) = (row, row)
      table.pointer.pointee.softmax(1, Int64(row.count), &ours, Int64(row.count))
      ck_reference_softmax(Int64(row.count), &theirs)
      #expect(zip(ours, theirs).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN })
    }
    var equal: [Float] = [7, 7, 7, 7]
    table.pointer.pointee.softmax(1, 4, &equal, 4)
    #expect(equal == [0.25, 0.25, 0.25, 0.25])
  }

  @Test("Scaled sums, rounding to bfloat16 and sums of squares are the same on every set", arguments: KernelTable.all)
  func remaining(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 9)
    for count in KernelTable.awkwardSizes {
      let x = numbers.normals(count)
      var y = numbers.normals(count)
      let expected = zip(x, y).map { $1.addingProduct(0.3, $0) }
      table.pointer.pointee.add_scaled(Int64(count), 0.3, x, &y)
      #expect(sameBits(y, expected))
      table.pointer.pointee.scale(Int64(count), 0.3, x, &y)
      #expect(sameBits(y, x.map { 0.3 * $0 }))
      var lanes = [Double](repeating: 0, count: 8)
      for (index, value) in x.enumerated() { lanes[index % 8] += Double(value) * Double(value) }
      for width in [4, 2, 1] { for lane in 0..<width { lanes[lane] += lanes[lane + width] } }
      #expect(table.pointer.pointee.sum_squares(Int64(count), x) == lanes[0])
    }
  }

  @Test("Products with a gain and their gradients are the same on every set", arguments: KernelTable.all)
  func gains(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 10)
    for count in KernelTable.awkwardSizes {
      let (x, w, d, g) = (
        numbers.normals(count), numbers.normals(count), numbers.normals(count), numbers.normals(count)
      )
      var (y, dy, dw) = (x, d, g)
      table.pointer.pointee.multiply(Int64(count), x, w, &y)
      table.pointer.pointee.multiply_backward(Int64(count), x, w, &dy, &dw)
      for index in 0..<count {
        #expect(y[index] == x[index] * w[index])
        #expect(dy[index] == d[index] * w[index])
        #expect(dw[index] == g[index] + d[index] * x[index])
      }
    }
  }

  @Test("The entropy of bits agrees with its formula in double, and its gradient too", arguments: KernelTable.all)
  func bitEntropy(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 11)
    for count in KernelTable.awkwardSizes {
      let x = numbers.normals(count).enumerated().map { $0 % 5 == 0 ? $1 * 40 : $1 * 3 }
      let z = (0..<(count + 7) / 8).map { UInt8(truncatingIfNeeded: 37 &* $0 &+ 0x5a) }
      var (gradient, signs) = (x, x)
      let total = z.withUnsafeBufferPointer {
        table.pointer.pointee.bit_entropy(Int64(count), &gradient, $0.baseAddress, 0.25)
      }
      table.pointer.pointee.signs(Int64(count), z, &signs)
      var expected = 0.0
      for index in 0..<count {
        let one = z[index / 8] >> UInt8(index % 8) & 1 == 1
        let value = Double(x[index])
        expected += max(value, 0) - (one ? value : 0) + log1p(exp(-abs(value)))
        let slope = (1 / (1 + exp(-value)) - (one ? 1 : 0)) * 0.25
        #expect(abs(Double(gradient[index]) - slope) < 1e-7)
        #expect(signs[index] == (one ? 1 : -1))
      }
      #expect(abs(total - expected) < 1e-6 * Double(count))
    }
  }
}
