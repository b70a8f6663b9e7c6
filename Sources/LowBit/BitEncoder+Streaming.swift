/// Encodes tensors that arrive in blocks of whole rows, in two passes: first the scales, then the codes. The result is
/// the same bytes as from `encode`, whatever the blocks.
extension BitEncoder {
  /// Collects the scales of a tensor's rows as they arrive.
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

    /// Processes the next rows.
    ///
    /// - Throws: `BitEncoderError` if a value is NaN or infinite.
    public mutating func append(_ rows: UnsafeBufferPointer<Float>) throws(BitEncoderError) {
      precondition(columns == 0 || rows.count % columns == 0, "\(rows.count) values are not rows of \(columns)")
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

    /// The scales of all rows, or the single scale of the tensor.
    public var values: [Float] {
      if encoder.scaling == .perRow { return perRow }
      if encoder.bits == 1 { return [count == 0 ? 0 : Float(sum / Double(count))] }
      return [largest / Float(encoder.largestMagnitude)]
    }
  }

  /// The packed bytes of `rows`, which begin at row `first` of the tensor.
  ///
  /// - Parameter scales: the scales of the whole tensor.
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

  /// The values of packed rows, which begin at row `first` of the tensor.
  public func unpackRows(_ packed: [UInt8], columns: Int, first: Int, scales: [Float]) -> [Float] {
    let stride = packedByteCount(columns: columns)
    let count = stride == 0 ? 0 : packed.count / stride
    let own = scaling == .perRow ? Array(scales[first..<first + count]) : scales
    return BitEncoding(bits: bits, scaling: scaling, shape: [count, columns], packed: packed, scales: own).decode()
  }
}
