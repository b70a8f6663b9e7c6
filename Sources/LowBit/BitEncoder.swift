/// Encodes real vectors in 1, 2, 4 or 8 bits a value, with one scale per row or per tensor.
///
/// For a row (or tensor) x:
///
///     1 bit:    code = 1[x > 0],                               scale = mean |x|,     decode = ±scale
///     2, 4, 8:  code = clip(round(x/scale), −M, M) + M,        scale = max |x| / M,  decode = (code − M)·scale
///               with M = 2^(bits−1) − 1 and rounding to nearest, ties to even
///
/// A row of zeros has scale 0, codes M (0 at 1 bit) and decodes to zeros. For 2, 4 and 8 bits the error of a value is
/// at most scale/2.
///
/// Codes are packed 8/bits to a byte, the first value in the lowest bits (for 1 bit: numpy's
/// `packbits(bitorder="little")`). Every row starts on a byte; bits past its last value are 0. Scales and quotients
/// are fp32 (the mean is summed in float64).
public struct BitEncoder: Sendable, Equatable {
  /// The values that share a scale.
  public enum Scaling: String, Sendable, CaseIterable {
    case perRow = "per_row"
    case perTensor = "per_tensor"
  }

  /// Bits per value: 1, 2, 4 or 8.
  public let bits: Int
  public let scaling: Scaling

  public init(bits: Int, scaling: Scaling = .perRow) {
    precondition([1, 2, 4, 8].contains(bits), "a BitEncoder has 1, 2, 4 or 8 bits, not \(bits)")
    self.bits = bits
    self.scaling = scaling
  }

  /// M = 2^(bits−1) − 1, the largest magnitude of a code; 0 at 1 bit.
  public var largestMagnitude: Int { 1 << (bits - 1) - 1 }

  /// Bytes of one packed row of `columns` values.
  public func packedByteCount(columns: Int) -> Int { (columns * bits + 7) / 8 }

  /// The codes of `x`, row after row, packed, and their scales.
  ///
  /// - Parameters:
  ///   - x: the values, row-major.
  ///   - shape: the last extent is the length of a row; a shape without extents is one row of one value.
  /// - Throws: `BitEncoderError` if a value is NaN or infinite.
  /// - Precondition: `x` has as many values as `shape`.
  public func encode(_ x: UnsafeBufferPointer<Float>, shape: [Int]) throws(BitEncoderError) -> BitEncoding {
    let columns = shape.last ?? 1
    let rows = shape.dropLast().reduce(1, *)
    precondition(x.count == rows * columns, "\(x.count) values for shape \(shape)")
    let stride = packedByteCount(columns: columns)
    var scales: [Float] = []
    if scaling == .perTensor { scales = [try scale(of: x, from: 0)] }
    var packed = [UInt8](repeating: 0, count: rows * stride)
    for row in 0..<rows {
      let values = UnsafeBufferPointer(rebasing: x[row * columns..<(row + 1) * columns])
      if scaling == .perRow { scales.append(try scale(of: values, from: row * columns)) }
      let scale = scaling == .perRow ? scales[row] : scales[0]
      packed.withUnsafeMutableBufferPointer { packed in
        pack(
          values, scale: scale, into: UnsafeMutableBufferPointer(rebasing: packed[row * stride..<(row + 1) * stride]))
      }
    }
    return BitEncoding(bits: bits, scaling: scaling, shape: shape, packed: packed, scales: scales)
  }

  public func encode(_ x: [Float], shape: [Int]) throws(BitEncoderError) -> BitEncoding {
    let result: Result<BitEncoding, BitEncoderError> = x.withUnsafeBufferPointer { values in
      do throws(BitEncoderError) { return .success(try encode(values, shape: shape)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// The scale of `values`, which start at element `start` of the tensor.
  func scale(of values: UnsafeBufferPointer<Float>, from start: Int) throws(BitEncoderError) -> Float {
    var sum = 0.0
    var largest: Float = 0
    for (index, value) in values.enumerated() {
      guard value.isFinite else { throw BitEncoderError(element: start + index, value: value) }
      sum += Double(abs(value))
      largest = max(largest, abs(value))
    }
    if bits == 1 { return values.isEmpty ? 0 : Float(sum / Double(values.count)) }
    return largest / Float(largestMagnitude)
  }

  /// Packs one row; `packed` holds zeros.
  func pack(_ values: UnsafeBufferPointer<Float>, scale: Float, into packed: UnsafeMutableBufferPointer<UInt8>) {
    if bits == 1 { return Self.packSigns(values, into: packed) }
    let limit = Float(largestMagnitude)
    let perByte = 8 / bits
    for (index, value) in values.enumerated() {
      // A scale of 0 (zeros, or magnitudes below the smallest fp32 scale) means that every code is M.
      let quotient = scale == 0 ? 0 : (value / scale).rounded(.toNearestOrEven)
      let code = UInt8(min(max(quotient, -limit), limit) + limit)
      packed[index / perByte] |= code << UInt8(index % perByte * bits)
    }
  }

  /// Packs 1[x > 0] of one row, eight to a byte, first value lowest, without a scale: the diffusion's target bits.
  /// NaN counts as not positive; unused bits of the last byte become 0. Allocates nothing.
  ///
  /// - Precondition: `packed` holds exactly ⌈count/8⌉ bytes.
  public static func packSigns(_ values: UnsafeBufferPointer<Float>, into packed: UnsafeMutableBufferPointer<UInt8>) {
    precondition(packed.count == (values.count + 7) / 8, "\(values.count) bits do not fit \(packed.count) bytes")
    for byte in packed.indices {
      var code: UInt8 = 0
      for bit in 0..<min(8, values.count - 8 * byte) where values[8 * byte + bit] > 0 { code |= 1 << UInt8(bit) }
      packed[byte] = code
    }
  }
}
