import CKernels
import Tensors

extension PackedWeights {
  /// Scales of one row: 1, or one for each group of inputs in `int4`; 0 for formats without.
  public var groups: Int { format.isInteger ? Int(descriptor.groups) : 0 }

  /// The signed codes of rows `range` of one matrix [range.count, columns] and their scales [range.count, groups],
  /// for integer formats: value = scale · code. What files hold, whatever the kernels' layout.
  public func readCodes(
    _ matrix: Int, rows range: Range<Int>, codes: UnsafeMutablePointer<Int8>, scales: UnsafeMutablePointer<Float>
  ) {
    precondition(format.isInteger, "\(format) has no codes")
    withUnsafePointer(to: descriptor) {
      ck_read_codes($0, Int64(matrix), Int64(range.lowerBound), Int64(range.count), codes, scales)
    }
  }

  /// Takes over the signed codes [rows, columns] and scales [rows, groups] of a whole matrix.
  public func writeCodes(_ matrix: Int, codes: UnsafePointer<Int8>, scales: UnsafePointer<Float>) {
    precondition(format.isInteger, "\(format) has no codes")
    withUnsafePointer(to: descriptor) {
      ck_write_codes($0, Int64(matrix), 0, Int64(panels), codes, scales)
    }
  }

  /// Takes over the values in use [rows, columns] of a whole matrix, for floating formats: they are representable, so
  /// nothing is rounded.
  public func writeValues(_ matrix: Int, _ values: UnsafePointer<Float>) {
    precondition(!format.isInteger, "\(format) needs codes and scales")
    withUnsafePointer(to: descriptor) { ck_pack($0, Int64(matrix), 0, Int64(panels), values) }
  }

  /// A number that changes when the kernels lay a format out otherwise: the hash of a fixed matrix of awkward sizes as
  /// they keep it. Files in the kernels' own layout carry it, so that no other layout is ever mistaken for it.
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
