/// The result of `BitEncoder`: bytes and scales, and the parameters needed to decode them.
public struct BitEncoding: Sendable, Equatable {
  public let bits: Int
  public let scaling: BitEncoder.Scaling
  public let shape: [Int]
  /// Concatenated rows, each padded to whole bytes.
  public let packed: [UInt8]
  /// One scale per row, or one for the tensor.
  public let scales: [Float]

  /// - Precondition: `packed` and `scales` have the sizes that `bits`, `scaling` and `shape` imply.
  public init(bits: Int, scaling: BitEncoder.Scaling, shape: [Int], packed: [UInt8], scales: [Float]) {
    let rows = shape.dropLast().reduce(1, *)
    let byteCount = rows * BitEncoder(bits: bits).packedByteCount(columns: shape.last ?? 1)
    precondition(
      packed.count == byteCount, "\(bits) bits of shape \(shape) need \(byteCount) bytes, not \(packed.count)")
    let scaleCount = scaling == .perRow ? rows : 1
    precondition(scales.count == scaleCount, "shape \(shape) needs \(scaleCount) scales, not \(scales.count)")
    self.bits = bits
    self.scaling = scaling
    self.shape = shape
    self.packed = packed
    self.scales = scales
  }

  /// Values of a row.
  public var columns: Int { shape.last ?? 1 }
  public var rows: Int { shape.dropLast().reduce(1, *) }

  /// The codes, row-major, without padding.
  public var codes: [UInt8] {
    let perByte = 8 / bits
    let stride = BitEncoder(bits: bits).packedByteCount(columns: columns)
    let mask = UInt8(truncatingIfNeeded: 1 << bits - 1)
    var codes: [UInt8] = []
    codes.reserveCapacity(rows * columns)
    for row in 0..<rows {
      for column in 0..<columns {
        let byte = packed[row * stride + column / perByte]
        codes.append(byte >> UInt8(column % perByte * bits) & mask)
      }
    }
    return codes
  }

  /// The decoded values, row-major, in `shape`: (code − M)·scale, or ±scale at 1 bit.
  public func decode() -> [Float] {
    let largest = Float(BitEncoder(bits: bits).largestMagnitude)
    var values: [Float] = []
    values.reserveCapacity(rows * columns)
    for (index, code) in codes.enumerated() {
      let scale = scaling == .perRow ? scales[index / columns] : scales[0]
      values.append(bits == 1 ? (code == 1 ? scale : 0 - scale) : (Float(code) - largest) * scale)
    }
    return values
  }
}
