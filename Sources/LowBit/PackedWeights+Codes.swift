import CKernels
import Tensors

extension PackedWeights {
  /// Scales per row: 1, or in `int4` one for each group of inputs; 0 for formats without scales.
  public var groups: Int { format.isInteger ? Int(descriptor.groups) : 0 }

  /// Reads the signed codes of rows `range` of one matrix [range.count, columns] and their scales [range.count,
  /// groups], for integer formats: value = scale · code. Files store these, independent of the kernels' layout.
  public func readCodes(
    _ matrix: Int, rows range: Range<Int>, codes: UnsafeMutablePointer<Int8>, scales: UnsafeMutablePointer<Float>
  ) {
    precondition(format.isInteger, "\(format) has no codes")
    withUnsafePointer(to: descriptor) {
      ck_read_codes($0, Int64(matrix), Int64(range.lowerBound), Int64(range.count), codes, scales)
    }
  }

  /// Writes the signed codes [rows, columns] and scales [rows, groups] of a whole matrix.
  public func writeCodes(_ matrix: Int, codes: UnsafePointer<Int8>, scales: UnsafePointer<Float>) {
    precondition(format.isInteger, "\(format) has no codes")
    withUnsafePointer(to: descriptor) {
      ck_write_codes($0, Int64(matrix), 0, Int64(panels), codes, scales)
    }
  }

  /// Writes the values in use [rows, columns] of a whole matrix, for floating-point formats. The values are
  /// representable, so nothing is rounded.
  public func writeValues(_ matrix: Int, _ values: UnsafePointer<Float>) {
    precondition(!format.isInteger, "\(format) needs codes and scales")
    withUnsafePointer(to: descriptor) { ck_pack($0, Int64(matrix), 0, Int64(panels), values) }
  }

  /// A number that changes if the kernels' layout of a format changes: the hash of a fixed matrix of awkward sizes in
  /// that layout. Files in the kernels' layout record it, so that another layout is never mistaken for it.
  public static func layoutFingerprint(_ format: NumberFormat) -> UInt64 {
    let (rows, columns) = (19, 72)
    let weights = PackedWeights(format: format, rows: rows, columns: columns, int4Group: 24)
    let generator = Philox(seed: 0)
    let values = (0..<rows * columns).map { index in
      Philox.uniform(generator.word(stream: .initialWeights, sequence: 0, position: UInt32(index))) - 0.5
    }
    values.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { weights.pack(base, pool: WorkerPool(threads: 1)) }
    }
    let codes = ck_xxh64(weights.data.pointer, Int64(weights.data.count), 0)
    return ck_xxh64(weights.scales.pointer, Int64(4 * weights.scales.count), codes)
  }
}
