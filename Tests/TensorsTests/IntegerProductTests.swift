import CKernels
import Tensors
import TestSupport
import Testing

@Suite("Products of 8-bit activations with ternary, int4 and int8 weights")
struct IntegerProductTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    let format: Int
    let columns: [Int]
    let group: Int
    var testDescription: String { "format \(format), columns \(columns), groups of \(group)" }
  }

  static let shapes = [
    Shape(format: CK_TERNARY, columns: KernelTable.awkwardSizes, group: 64),
    Shape(format: CK_INT8, columns: KernelTable.awkwardSizes, group: 64),
    Shape(format: CK_INT4, columns: KernelTable.awkwardSizes, group: 129),
    Shape(format: CK_INT4, columns: [10, 20, 30, 70], group: 10),
    Shape(format: CK_INT4, columns: [16, 48, 128], group: 16),
    Shape(format: CK_INT4, columns: [33, 66, 99], group: 33),
    Shape(format: CK_INT4, columns: [3, 21], group: 3),
  ]

  @Test("Every format equals the scalar specification bit for bit", arguments: KernelTable.all, shapes)
  func products(_ table: KernelTable, _ shape: Shape) {
    var numbers = RandomNumbers(seed: 5)
    let pool = numbers.normals(2 * 129 * 129)
    for columns in shape.columns {
      for rows in KernelTable.awkwardSizes {
        let weights = PackedMatrices(
          shape.format, count: 2, rows: rows, columns: columns, group: shape.group,
          masters: Array(pool[0..<2 * rows * columns]))
        var descriptor = weights.descriptor
        for m in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 20] {
          let x = Array(pool[5..<5 + m * columns])
          let bias = m % 2 == 0 ? Array(pool[3..<3 + rows]) : nil
          let activations = ActivationBuffer(rows: m, like: descriptor)
          var described = activations.descriptor
          ck_reference_quantize_a8(Int64(m), Int64(columns), x, Int64(columns), &described)
          var expected = [Float](repeating: 7, count: m * (rows + 2))
          var actual = expected
          ck_reference_gemm_a8(Int64(m), &described, &descriptor, 1, bias, &expected, Int64(rows + 2))
          table.pointer.pointee.gemm_a8(
            Int64(m), &described, &descriptor, 1, 0, Int64((rows + 15) / 16), bias, &actual, Int64(rows + 2))
          #expect(sameBits(actual, expected), "columns \(columns), rows \(rows), tokens \(m)")
        }
      }
    }
  }

  @Test("The largest codes do not saturate or overflow", arguments: KernelTable.all)
  func extremes(_ table: KernelTable) {
    for (format, limit) in [(CK_TERNARY, 1), (CK_INT4, 7), (CK_INT8, 127)] {
      let columns = 4096
      let rows = 17
      // Signs of activations equal those of weights, then oppose them.
      for sign in [Float(1), -1] {
        let signs = (0..<columns).map { Float($0 % 3 == 0 ? -1 : 1) }
        let weights = PackedMatrices(
          format, rows: rows, columns: columns, masters: (0..<rows).flatMap { _ in signs })
        var descriptor = weights.descriptor
        let activations = ActivationBuffer(rows: 9, like: descriptor)
        var described = activations.descriptor
        let x = (0..<9).flatMap { _ in signs.map { sign * $0 } }
        table.pointer.pointee.quantize_a8(9, Int64(columns), x, Int64(columns), &described)
        var y = [Float](repeating: 0, count: 9 * rows)
        table.pointer.pointee.gemm_a8(9, &described, &descriptor, 0, 0, 2, nil, &y, Int64(rows))
        let exact = Float(127 * limit * columns) * sign
        let expected = activations.scales[0] * (descriptor.scales[0] * exact)
        #expect(y.allSatisfy { abs($0 - expected) <= abs(expected) * 0x1p-22 }, "format \(format)")
      }
    }
  }

  @Test("Quantisation equals the scalar specification: codes, scales and sums", arguments: KernelTable.all)
  func quantisation(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 6)
    for (columns, group) in KernelTable.awkwardSizes.map({ ($0, $0) }) + [(30, 10), (48, 16), (99, 33), (12, 3)] {
      var shape = ck_packed()
      ck_packed_describe(&shape, Int32(CK_INT4), 1, Int32(columns), Int32(group))
      let rows = 20
      var x = numbers.normals(rows * (columns + 3))
      for index in stride(from: 0, to: x.count, by: 7) { x[index] *= 1000 }
      let (theirs, ours) = (ActivationBuffer(rows: rows, like: shape), ActivationBuffer(rows: rows, like: shape))
      var (expected, actual) = (theirs.descriptor, ours.descriptor)
      ck_reference_quantize_a8(Int64(rows), Int64(columns), x, Int64(columns + 3), &expected)
      table.pointer.pointee.quantize_a8(Int64(rows), Int64(columns), x, Int64(columns + 3), &actual)
      #expect(ours.codes.array == theirs.codes.array)
      #expect(sameBits(ours.scales.array, theirs.scales.array))
      #expect(ours.sums.array == theirs.sums.array)
    }
  }

  @Test("Half codes round to even, zero rows take the floor of the scale", arguments: KernelTable.all)
  func ties(_ table: KernelTable) {
    var shape = ck_packed()
    ck_packed_describe(&shape, Int32(CK_INT8), 1, 20, 64)
    // The largest value 127 makes the scale 1, so that x.5 lies exactly between two codes.
    let tied: [Float] = [127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 125.5, 126.5, -126.5, -125.5, 3.5, 4.5, 0, -0.0, 100.5]
    let x = tied + [0, 0, 0, 0] + [Float](repeating: 0, count: 20)
    let buffer = ActivationBuffer(rows: 2, like: shape)
    var described = buffer.descriptor
    table.pointer.pointee.quantize_a8(2, 20, x, 20, &described)
    let expected: [Int8] = [127, 0, 2, 2, 0, -2, -2, 126, 126, -126, -126, 4, 4, 0, 0, 100]
    #expect(Array(buffer.codes.array[0..<16]) == expected)
    #expect(buffer.sums[0] == expected.reduce(Int32(0)) { $0 + Int32($1) })
    #expect(buffer.scales[0] == 1)
    #expect(buffer.scales[1] == 1e-5 / 127)
    #expect(buffer.codes.array[32...].allSatisfy { $0 == 0 })
    #expect(buffer.sums[1] == 0)
  }

  @Test("Values that are not finite give codes all the same, and no trap", arguments: KernelTable.all)
  func nonFinite(_ table: KernelTable) {
    var shape = ck_packed()
    ck_packed_describe(&shape, Int32(CK_INT8), 1, 19, 64)
    var x = [Float](repeating: 1, count: 3 * 19)
    x[3] = .nan
    x[18] = -.nan
    x[19 + 5] = .infinity
    x[38 + 17] = -.infinity
    x[38 + 2] = .greatestFiniteMagnitude
    let (theirs, ours) = (ActivationBuffer(rows: 3, like: shape), ActivationBuffer(rows: 3, like: shape))
    var (expected, actual) = (theirs.descriptor, ours.descriptor)
    ck_reference_quantize_a8(3, 19, x, 19, &expected)
    table.pointer.pointee.quantize_a8(3, 19, x, 19, &actual)
    #expect(ours.codes.array == theirs.codes.array)
    #expect(sameBits(ours.scales.array, theirs.scales.array))
    #expect(ours.sums.array == theirs.sums.array)
    #expect(ours.codes[0] == 127 && ours.codes[3] == 0)
  }
}
