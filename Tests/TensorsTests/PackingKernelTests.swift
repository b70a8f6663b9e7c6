import CKernels
import TestSupport
import Tensors
import Testing

@Suite("Packing and fixed-point kernels")
struct PackingKernelTests {
  private static let formats = [CK_FP32, CK_FP16, CK_BF16, CK_TERNARY, CK_INT4, CK_INT8]

  /// Codes and scales of two matrices, packed by `pack`.
  private func packed(
    _ format: Int, rows: Int, columns: Int, group: Int, _ w: [Float],
    _ pack: (UnsafePointer<ck_packed>?, Int64, Int64, Int64, UnsafePointer<Float>?) -> Void
  ) -> ([UInt8], [UInt32]) {
    var descriptor = ck_packed()
    ck_packed_describe(&descriptor, Int32(format), Int32(rows), Int32(columns), Int32(group))
    let data = AlignedBuffer<UInt8>(count: 2 * Int(descriptor.matrix_bytes))
    let scales = AlignedBuffer<Float>(count: 2 * Int(descriptor.matrix_scales))
    data.bufferPointer.update(repeating: 0xA5)
    scales.bufferPointer.update(repeating: 7)
    descriptor.data = data.pointer
    descriptor.scales = scales.pointer
    w.withUnsafeBufferPointer { w in
      for matrix in 0..<2 {
        pack(
          &descriptor, Int64(matrix), 0, Int64((rows + 15) / 16), w.baseAddress.map { $0 + matrix * rows * columns })
      }
    }
    return (data.array, scales.array.map(\.bitPattern))
  }

  @Test("Every instruction set packs the bytes of the scalar specification, ties and odd numbers included")
  func packing() {
    let shapes = [
      (1, 1, 64), (16, 16, 64), (17, 33, 64), (31, 15, 16), (48, 64, 64), (15, 128, 64), (7, 30, 10), (33, 48, 16),
      (5, 99, 33), (129, 3, 3), (40, 600, 60), (18, 2080, 2080),
    ]
    var numbers = RandomNumbers(seed: 31)
    for (rows, columns, group) in shapes {
      let count = 2 * rows * columns
      let plain = numbers.normals(count, scale: 0.05)
      let ties = numbers.normals(count).map { ($0 * 4).rounded() / 2 }
      var odd = plain
      for index in stride(from: 0, to: count, by: 7) {
        odd[index] = Float(bitPattern: UInt32(truncatingIfNeeded: numbers.integer(below: 1 << 32)))
      }
      for w in [plain, ties, odd] {
        for format in Self.formats {
          let expected = packed(Int(format), rows: rows, columns: columns, group: group, w, ck_reference_pack)
          for table in KernelTable.all {
            let memory = table.pointer.pointee.memory.pointee
            let found = packed(Int(format), rows: rows, columns: columns, group: group, w, memory.pack)
            let same = found.0 == expected.0 && found.1 == expected.1
            #expect(same, "\(table.testDescription), format \(format), [\(rows), \(columns)]")
          }
        }
      }
    }
  }

  @Test("Fixed-point sums and searches have the bits and the place of the scalar specification")
  func sums() {
    var numbers = RandomNumbers(seed: 32)
    for table in KernelTable.all {
      let memory = table.pointer.pointee.memory.pointee
      for count in [1, 7, 8, 9, 17, 255, 256, 300, 520] {
        for bad: Float in [0, .nan, .infinity, 2048, 3e38] {
          var x = numbers.normals(count, scale: 100)
          if bad != 0 { x[count / 2] = bad }
          let start = (0..<count).map { _ in Int64(numbers.integer(below: 1 << 32)) << 28 }
          var (expected, sum) = (start, start)
          let place = ck_reference_fixed_add(Int64(count), 1 << 61, x, &expected)
          #expect(memory.fixed_add(Int64(count), 1 << 61, x, &sum) == place)
          #expect(sum == expected)
          var (wanted, values) = (x, x)
          ck_reference_fixed_read(Int64(count), expected, &wanted)
          memory.fixed_read(Int64(count), sum, &values)
          #expect(values == wanted)
          #expect(memory.first_nonfinite(Int64(count), x) == ck_reference_first_nonfinite(Int64(count), x))
        }
      }
    }
  }
}
