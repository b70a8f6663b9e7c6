import CKernels
import Tensors
import Testing

/// One instruction set of this machine, called directly: nothing global changes.
struct KernelTable: @unchecked Sendable, CustomTestStringConvertible {
  let pointer: UnsafePointer<ck_table>
  var testDescription: String { String(cString: pointer.pointee.name) }

  static let all: [KernelTable] = {
    var found = [UnsafePointer<ck_table>?](repeating: nil, count: Int(CK_TABLES))
    let count = Int(ck_available(&found, Int32(CK_TABLES)))
    return found.prefix(count).compactMap { $0 }.map { KernelTable(pointer: $0) }
  }()

  /// Lengths around the sixteen lanes and the register tiles.
  static let awkwardSizes = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 48, 64, 127, 129]
}

/// A packed stack of matrices for tests, with the values that it stands for.
final class PackedMatrices {
  let descriptor: ck_packed
  private let data: AlignedBuffer<UInt8>
  private let scales: AlignedBuffer<Float>
  /// [count, rows, columns]
  let values: [Float]

  init(_ format: Int, count: Int = 1, rows: Int, columns: Int, group: Int = 1 << 20, masters: [Float]) {
    var packed = ck_packed()
    ck_packed_describe(&packed, Int32(format), Int32(rows), Int32(columns), Int32(group))
    data = AlignedBuffer(count: Int(packed.matrix_bytes) * count)
    scales = AlignedBuffer(count: Int(packed.matrix_scales) * count)
    packed.data = data.pointer
    packed.scales = scales.pointer
    descriptor = packed
    var values = [Float](repeating: 0, count: count * rows * columns)
    for matrix in 0..<count {
      masters.withUnsafeBufferPointer {
        ck_pack(&packed, Int64(matrix), 0, Int64((rows + 15) / 16), $0.baseAddress! + matrix * rows * columns)
      }
      values.withUnsafeMutableBufferPointer {
        ck_unpack(&packed, Int64(matrix), 0, Int64(rows), $0.baseAddress! + matrix * rows * columns)
      }
    }
    self.values = values
  }
}

/// Memory for A8 activations, filled with rubbish first so that nothing unwritten goes unseen.
final class ActivationBuffer {
  let codes: AlignedBuffer<Int8>
  let scales: AlignedBuffer<Float>
  let sums: AlignedBuffer<Int32>
  let descriptor: ck_activations

  init(rows: Int, like packed: ck_packed) {
    codes = AlignedBuffer(count: rows * Int(packed.groups * packed.group_padded))
    scales = AlignedBuffer(count: rows)
    sums = AlignedBuffer(count: rows * Int(packed.groups))
    codes.bufferPointer.update(repeating: 99)
    sums.bufferPointer.update(repeating: -99)
    descriptor = ck_activations(
      codes: codes.pointer, scales: scales.pointer, sums: sums.pointer, groups: packed.groups, group: packed.group,
      group_padded: packed.group_padded)
  }
}
