import CKernels
import Tensors
import TestSupport
import Testing

@Suite("bfloat16 products and their operands")
struct BFloat16ProductTests {
  /// Words of pairs along the rows of x [rows, columns].
  private static func rows(_ table: KernelTable, _ x: [Float], _ rows: Int, _ columns: Int, scale: [Float]? = nil)
    -> [UInt32]
  {
    let pairs = (columns + 1) / 2
    var words = [UInt32](repeating: 0xdead_beef, count: rows * pairs)
    table.pointer.pointee.bf16_rows(
      Int64(rows), Int64(columns), x, Int64(columns), scale, &words, Int64(pairs))
    return words
  }

  /// Words of pairs of rows of x [rows, columns], `stride` words a pair.
  private static func pairs(
    _ table: KernelTable, _ x: [Float], _ rows: Int, _ columns: Int, stride: Int, scale: [Float]? = nil
  ) -> [UInt32] {
    var words = [UInt32](repeating: 0, count: (rows + 1) / 2 * stride)
    table.pointer.pointee.bf16_pairs(
      Int64(rows), Int64(columns), x, Int64(columns), scale, &words, Int64(stride))
    return words
  }

  private static func rounded(_ x: Float) -> UInt32 {
    UInt32(ck_bf16_from_f32(abs(x) < Float.leastNormalMagnitude ? x * 0 : x))
  }

  @Test("Products equal the scalar specification bit for bit, also from several parts", arguments: KernelTable.all)
  func products(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 21)
    var pool = numbers.normals(2 * 129 * 129)
    // Subnormal operands and sums count as zero.
    for index in stride(from: 0, to: pool.count, by: 31) { pool[index] *= 0x1p-120 }
    for m in KernelTable.awkwardSizes {
      for n in [1, 7, 16, 17, 31, 33, 48, 129] {
        for k in [1, 2, 3, 16, 33, 64] {
          let stride = (n + 15) / 16 * 16 + 16
          let pairs = (k + 1) / 2
          let a = Self.rows(table, Array(pool[0..<m * k]), m, k)
          let b = Self.pairs(table, Array(pool[9..<9 + k * n]), k, n, stride: stride)
          let bias = Array(pool[5..<5 + n])
          a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
              func part(_ range: Range<Int>) -> ck_bf16_product {
                ck_bf16_product(
                  a: a.baseAddress! + range.lowerBound, a_row: Int64(pairs), a_pair: 1,
                  b: b.baseAddress! + range.lowerBound * stride, b_panel: 16, b_pair: Int64(stride),
                  pairs: Int64(range.count))
              }
              let parts = [part(0..<pairs / 2), part(pairs / 2..<pairs)]
              for accumulate in [false, true] {
                var expected = Array(pool[1..<1 + m * (n + 2)])
                var (actual, whole) = (expected, expected)
                ck_reference_gemm_bf16(
                  Int64(m), Int64(n), parts, 2, bias, &expected, Int64(n + 2), accumulate)
                table.pointer.pointee.gemm_bf16(
                  Int64(m), Int64(n), parts, 2, bias, &actual, Int64(n + 2), accumulate)
                table.pointer.pointee.gemm_bf16(
                  Int64(m), Int64(n), [part(0..<pairs)], 1, bias, &whole, Int64(n + 2), accumulate)
                #expect(sameBits(actual, expected), "m \(m), n \(n), k \(k)")
                #expect(sameBits(whole, expected), "m \(m), n \(n), k \(k), in one part")
              }
            }
          }
        }
      }
    }
  }

  @Test("Operands round to nearest even, in pairs along a row and across rows", arguments: KernelTable.all)
  func operands(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 22)
    for rows in [1, 2, 3, 8, 9] {
      for columns in KernelTable.awkwardSizes {
        var x = numbers.normals(rows * columns)
        for (index, value) in [Float.infinity, .greatestFiniteMagnitude, -0.0, 0x1p-149, -0x1.fep-127].enumerated()
        where index < x.count { x[x.count - 1 - index] = value }
        let (rowScale, columnScale) = (numbers.normals(rows), numbers.normals(columns))
        let along = Self.rows(table, x, rows, columns, scale: columnScale)
        let across = Self.pairs(table, x, rows, columns, stride: columns + 15, scale: rowScale)
        for row in 0..<rows {
          for column in 0..<columns {
            let value = x[row * columns + column]
            let word = along[row * ((columns + 1) / 2) + column / 2]
            #expect(word >> UInt32(16 * (column % 2)) & 0xffff == Self.rounded(value * columnScale[column]))
            let pair = across[row / 2 * (columns + 15) + column]
            #expect(pair >> UInt32(16 * (row % 2)) & 0xffff == Self.rounded(value * rowScale[row]))
          }
        }
      }
    }
  }

  @Test("Packed weights turn into panels of their values or codes", arguments: KernelTable.all)
  func panels(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 23)
    for (format, group) in [
      (CK_FP32, 64), (CK_FP16, 64), (CK_BF16, 64), (CK_TERNARY, 64), (CK_INT4, 1000), (CK_INT4, 16), (CK_INT4, 3),
      (CK_INT8, 64),
    ] {
      for rows in KernelTable.awkwardSizes {
        for columns in [1, 3, 15, 16, 17, 33, 48, 96] where columns <= group || columns % group == 0 {
          let weights = PackedMatrices(
            format, count: 2, rows: rows, columns: columns, group: group,
            masters: numbers.normals(2 * rows * columns))
          var descriptor = weights.descriptor
          let (pairs, panels) = ((rows + 1) / 2, (columns + 15) / 16)
          for codes in [false, true] where !codes || format >= CK_TERNARY {
            var words = [UInt32](repeating: 0, count: panels * pairs * 16)
            table.pointer.pointee.bf16_panels(&descriptor, 1, 0, Int64(panels), codes, &words)
            for row in 0..<rows {
              for column in 0..<columns {
                let word = words[(column / 16 * pairs + row / 2) * 16 + column % 16]
                let expected =
                  codes
                  ? Float(ck_packed_code(&descriptor, 1, Int64(row), Int64(column)))
                  : weights.values[rows * columns + row * columns + column]
                #expect(word >> UInt32(16 * (row % 2)) & 0xffff == Self.rounded(expected))
              }
            }
          }
        }
      }
    }
  }

  @Test("Codes of activations are exact in bfloat16, and dequantise", arguments: KernelTable.all)
  func activations(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 24)
    for (columns, group) in KernelTable.awkwardSizes.map({ ($0, $0) }) + [(30, 10), (48, 16), (99, 33)] {
      var shape = ck_packed()
      ck_packed_describe(&shape, Int32(CK_INT4), 1, Int32(columns), Int32(group))
      let rows = 5
      let buffer = ActivationBuffer(rows: rows, like: shape)
      var described = buffer.descriptor
      let x = numbers.normals(rows * columns)
      table.pointer.pointee.quantize_a8(Int64(rows), Int64(columns), x, Int64(columns), &described)
      var words = [UInt32](repeating: 0, count: 3 * (columns + 15))
      table.pointer.pointee.bf16_pairs_a8(Int64(rows), &described, &words, Int64(columns + 15))
      var values = [Float](repeating: 0, count: rows * columns)
      table.pointer.pointee.dequantize_a8(Int64(rows), &described, &values, Int64(columns))
      for row in 0..<rows {
        for column in 0..<columns {
          let place = row * Int(shape.groups * shape.group_padded) + column / group * Int(shape.group_padded)
          let code = Float(buffer.codes[place + column % group])
          #expect(values[row * columns + column] == buffer.scales[row] * code)
          let word = words[row / 2 * (columns + 15) + column] >> UInt32(16 * (row % 2)) & 0xffff
          #expect(ck_f32_from_bf16(UInt16(word)) == code)
        }
      }
      if rows % 2 == 1 { #expect((0..<columns).allSatisfy { words[2 * (columns + 15) + $0] >> 16 == 0 }) }
    }
  }
}
