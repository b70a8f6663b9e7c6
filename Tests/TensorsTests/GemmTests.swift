import CKernels
import COpenBLAS
import Tensors
import TestSupport
import Testing

@Suite("Matrix products in floating formats")
struct GemmTests {
  @Test("Both stride forms equal the scalar specification bit for bit", arguments: KernelTable.all)
  func strides(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 1)
    let pool = numbers.normals(20 * 129 + 129 * 140 + 140 * 21)
    for n in KernelTable.awkwardSizes {
      for k in KernelTable.awkwardSizes {
        for m in [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 20] {
          // Rows of A, B and C are longer than needed; A is taken as [m, k] and as the transpose of [k, m].
          let transposed = (m + n + k) % 2 == 0
          let (aRow, aStep) = transposed ? (1, m + 3) : (k + 3, 1)
          let (bRow, cRow) = (n + 5, n + 1)
          let a = Array(pool[0..<max(m, k) * (max(m, k) + 3)])
          let b = Array(pool[20..<20 + k * bRow])
          let bias = Array(pool[40..<40 + n])
          let start = Array(pool[60..<60 + m * cRow])
          for (accumulate, biased) in [(false, false), (true, false), (false, true)] {
            var expected = start
            var actual = start
            ck_reference_gemm(
              Int64(m), Int64(n), Int64(k), a, Int64(aRow), Int64(aStep), b, 1, Int64(bRow), biased ? bias : nil,
              &expected, Int64(cRow), accumulate)
            table.pointer.pointee.gemm_f32(
              Int64(m), Int64(n), Int64(k), a, Int64(aRow), Int64(aStep), b, Int64(bRow), biased ? bias : nil, &actual,
              Int64(cRow), accumulate)
            // The whole of C: what lies between its rows is untouched.
            #expect(sameBits(actual, expected), "m \(m), n \(n), k \(k), accumulate \(accumulate), bias \(biased)")
          }
        }
      }
    }
  }

  @Test("An empty sum gives the bias, or leaves what was there", arguments: KernelTable.all)
  func emptySum(_ table: KernelTable) {
    let bias: [Float] = [1, 2, 3]
    var c: [Float] = [9, 9, 9, 8, 8, 8]
    table.pointer.pointee.gemm_f32(2, 3, 0, bias, 0, 1, bias, 3, bias, &c, 3, false)
    #expect(c == [1, 2, 3, 1, 2, 3])
    table.pointer.pointee.gemm_f32(2, 3, 0, bias, 0, 1, bias, 3, nil, &c, 3, true)
    #expect(c == [1, 2, 3, 1, 2, 3])
  }

  @Test("Packed floating weights equal the specification on the values they stand for", arguments: KernelTable.all)
  func packed(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 2)
    let pool = numbers.normals(2 * 129 * 129)
    for format in [CK_FP32, CK_FP16] {
      for rows in KernelTable.awkwardSizes {
        for columns in [1, 3, 8, 16, 17, 33, 127] {
          let weights = PackedMatrices(
            format, count: 2, rows: rows, columns: columns, masters: Array(pool[0..<2 * rows * columns]))
          for m in [1, 2, 3, 5, 8, 9, 15, 20] {
            let x = Array(pool[7..<7 + m * (columns + 2)])
            let bias = m % 2 == 0 ? Array(pool[3..<3 + rows]) : nil
            var expected = [Float](repeating: 7, count: m * (rows + 1))
            var actual = expected
            weights.values.withUnsafeBufferPointer {
              ck_reference_gemm(
                Int64(m), Int64(rows), Int64(columns), x, Int64(columns + 2), 1, $0.baseAddress! + rows * columns,
                Int64(columns), 1, bias, &expected, Int64(rows + 1), false)
            }
            var descriptor = weights.descriptor
            table.pointer.pointee.gemm_packed(
              Int64(m), x, Int64(columns + 2), &descriptor, 1, 0, Int64((rows + 15) / 16), bias, &actual,
              Int64(rows + 1))
            #expect(sameBits(actual, expected), "format \(format), m \(m), rows \(rows), columns \(columns)")
          }
        }
      }
    }
  }

  @Test("A part of the panels gives the same bits as all of them", arguments: KernelTable.all)
  func panels(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 3)
    let (m, rows, columns) = (5, 83, 21)
    for format in [CK_FP32, CK_FP16] {
      let weights = PackedMatrices(format, rows: rows, columns: columns, masters: numbers.normals(rows * columns))
      let x = numbers.normals(m * columns)
      let bias = numbers.normals(rows)
      var descriptor = weights.descriptor
      var whole = [Float](repeating: 0, count: m * rows)
      table.pointer.pointee.gemm_packed(
        Int64(m), x, Int64(columns), &descriptor, 0, 0, 6, bias, &whole, Int64(rows))
      for first in 0..<6 {
        for count in 1...6 - first {
          let width = min(rows, 16 * (first + count)) - 16 * first
          var part = [Float](repeating: 0, count: m * width)
          table.pointer.pointee.gemm_packed(
            Int64(m), x, Int64(columns), &descriptor, 0, Int64(first), Int64(count), bias, &part, Int64(width))
          var expected: [Float] = []
          for row in 0..<m { expected += whole[(row * rows + 16 * first)...].prefix(width) }
          #expect(sameBits(part, expected), "format \(format), panels \(first)..<\(first + count)")
        }
      }
    }
  }

  @Test("Products agree with OpenBLAS within the bound of a sum in another order", arguments: KernelTable.all)
  func openBLAS(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 4)
    for (m, n, k) in [(1, 129, 64), (7, 33, 127), (20, 48, 257), (64, 65, 31), (33, 100, 1000)] {
      let a = numbers.normals(m * k)
      let b = numbers.normals(k * n)
      var theirs = [Float](repeating: 0, count: m * n)
      var ours = theirs
      cblas_sgemm(
        CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(m), Int32(n), Int32(k), 1, a, Int32(k), b, Int32(n), 0,
        &theirs, Int32(n))
      table.pointer.pointee.gemm_f32(
        Int64(m), Int64(n), Int64(k), a, Int64(k), 1, b, Int64(n), nil, &ours, Int64(n), false)
      for row in 0..<m {
        for column in 0..<n {
          // Each side is within k·2⁻²⁴·Σ|a||b| of the exact sum (Higham, Accuracy and Stability, section 3.1).
          var size = 0.0
          for index in 0..<k { size += Double(abs(a[row * k + index] * b[index * n + column])) }
          let difference = abs(Double(ours[row * n + column]) - Double(theirs[row * n + column]))
          #expect(difference <= 2 * Double(k) * 0x1p-24 * size)
        }
      }
    }
  }
}
