/// Encoding of tensors that come in pieces of whole rows, in two passes: first the scales, then the codes. Together they
/// are the bytes of `encode`, whatever the pieces.
extension BitEncoder {
  /// Collects the scales of a tensor's rows as they come.
  public struct Scales: Sendable {
    private let encoder: BitEncoder
    private let columns: Int
    private var perRow: [Float] = []
    private var count = 0
    private var sum = 0.0
    private var largest: Float = 0

    /// - Parameter columns: values of a row.
    public init(_ encoder: BitEncoder, columns: Int) {
      self.encoder = encoder
      self.columns = columns
    }

    /// Takes the next rows in.
    ///
    /// - Throws: `BitEncoderError` where a value is NaN or infinite.
    public mutating func append(_ rows: UnsafeBufferPointer<Float>) throws(BitEncoderError) {
      precondition(columns == 0 || rows.count % columns == 0, "\(rows.count) values are no rows of \(columns)")
      if encoder.scaling == .perRow {
        for first in stride(from: 0, to: rows.count, by: max(1, columns)) {
          let row = UnsafeBufferPointer(rebasing: rows[first..<first + columns])
          perRow.append(try encoder.scale(of: row, from: count + first))
        }
      } else {
        for (index, value) in rows.enumerated() {
          guard value.isFinite else { throw BitEncoderError(element: count + index, value: value) }
          sum += Double(abs(value))
          largest = max(largest, abs(value))
        }
      }
      count += rows.count
    }

    /// The scales of all rows, or the tensor's one.
    public var values: [Float] {
      if encoder.scaling == .perRow { return perRow }
      if encoder.bits == 1 { return [count == 0 ? 0 : Float(sum / Double(count))] }
      return [largest / Float(encoder.largestMagnitude)]
    }
  }

  /// The packed bytes of `rows`, the tensor's row `first` and those after it.
  ///
  /// - Parameter scales: those of the whole tensor.
  public func packRows(
    _ rows: UnsafeBufferPointer<Float>, columns: Int, first: Int, scales: [Float]
  ) -> [UInt8] {
    let stride = packedByteCount(columns: columns)
    let count = columns == 0 ? 0 : rows.count / columns
    var packed = [UInt8](repeating: 0, count: count * stride)
    packed.withUnsafeMutableBufferPointer { packed in
      for row in 0..<count {
        pack(
          UnsafeBufferPointer(rebasing: rows[row * columns..<(row + 1) * columns]),
          scale: scaling == .perRow ? scales[first + row] : scales[0],
          into: UnsafeMutableBufferPointer(rebasing: packed[row * stride..<(row + 1) * stride]))
      }
    }
    return packed
  }

  /// The values of packed rows, the tensor's row `first` and those after it.
  public func unpackRows(_ packed: [UInt8], columns: Int, first: Int, scales: [Float]) -> [Float] {
    let stride = packedByteCount(columns: columns)
    let count = stride == 0 ? 0 : packed.count / stride
    let own = scaling == .perRow ? Array(scales[first..<first + count]) : scales
    return BitEncoding(bits: bits, scaling: scaling, shape: [count, columns], packed: packed, scales: own).decode()
  }
}
