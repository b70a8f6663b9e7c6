import CKernels
import Synchronization
import Tensors

/// A stack's numbers as files hold them: row after row, whatever the layout of the kernels.
///
/// | format | bytes of a row of n inputs | code |
/// |---|---|---|
/// | `fp32` | 4n, little-endian | – |
/// | `fp16`, `bf16` | 2n, little-endian | – |
/// | `ternary` | ⌈n/4⌉: four to a byte, first input in the lowest bits | code + 1 (0, 1, 2) |
/// | `int4` | ⌈n/2⌉: two to a byte, first input in the low half | code + 8 (1 … 15) |
/// | `int8` | n | two's complement (−127 … 127) |
///
/// Unused bits of a row's last byte are 0. Integer formats have fp32 scales [count, rows, groups] beside them
/// (groups is 1 but for int4); a value is scale · code.
extension PackedWeights {
  /// Bytes of one row of `columns` inputs in a file.
  public static func portableRowBytes(_ format: NumberFormat, columns: Int) -> Int {
    switch format {
    case .fp32: 4 * columns
    case .fp16, .bf16: 2 * columns
    case .ternary: (columns + 3) / 4
    case .int4: (columns + 1) / 2
    case .int8: columns
    }
  }

  /// Bytes of all rows in a file.
  public var portableByteCount: Int { count * rows * Self.portableRowBytes(format, columns: columns) }
  /// Scales of all rows in a file.
  public var portableScaleCount: Int { count * rows * groups }

  /// Writes the rows and their scales; `bytes` and `scales` have space for all of them.
  public func exportRows(
    bytes: UnsafeMutablePointer<UInt8>, scales: UnsafeMutablePointer<Float>, pool: WorkerPool
  ) {
    let rowBytes = Self.portableRowBytes(format, columns: columns)
    pool.split(count * rows, cost: .moved(columns)) { _, range in
      let codes = UnsafeMutablePointer<Int8>.allocate(capacity: columns)
      let values = UnsafeMutablePointer<Float>.allocate(capacity: columns)
      defer {
        codes.deallocate()
        values.deallocate()
      }
      for row in range {
        let target = bytes + row * rowBytes
        if format.isInteger {
          readCodes(
            row / rows, rows: row % rows..<row % rows + 1, codes: codes, scales: scales + row * groups)
          Self.join(codes, format, columns, into: target)
        } else {
          unpack(row / rows, rows: row % rows..<row % rows + 1, into: values)
          Self.narrow(values, format, columns, into: target)
        }
      }
    }
  }

  /// Reads rows and scales as `exportRows` wrote them.
  ///
  /// - Returns: nil, or the first row (counted over all matrices) with an invalid code or scale.
  public func importRows(bytes: UnsafePointer<UInt8>, scales: UnsafePointer<Float>, pool: WorkerPool) -> Int? {
    let rowBytes = Self.portableRowBytes(format, columns: columns)
    let bad = Atomic<Int>(Int.max)
    pool.split(count, cost: .moved(rows * columns)) { _, range in
      let codes = UnsafeMutablePointer<Int8>.allocate(capacity: rows * columns)
      let values = UnsafeMutablePointer<Float>.allocate(capacity: rows * columns)
      defer {
        codes.deallocate()
        values.deallocate()
      }
      for matrix in range {
        for row in 0..<rows {
          let source = bytes + (matrix * rows + row) * rowBytes
          let isGood: Bool
          if format.isInteger {
            let own = UnsafeBufferPointer(start: scales + (matrix * rows + row) * groups, count: groups)
            isGood =
              Self.split(source, format, columns, into: codes + row * columns)
              && own.allSatisfy { $0 > 0 && $0.isFinite }
          } else {
            isGood = Self.widen(source, format, columns, into: values + row * columns)
          }
          if !isGood { bad.min(matrix * rows + row, ordering: .relaxed) }
        }
        if format.isInteger {
          writeCodes(matrix, codes: codes, scales: scales + matrix * rows * groups)
        } else {
          writeValues(matrix, values)
        }
      }
    }
    let first = bad.load(ordering: .relaxed)
    return first == Int.max ? nil : first
  }

  private static func join(
    _ codes: UnsafePointer<Int8>, _ format: NumberFormat, _ columns: Int, into bytes: UnsafeMutablePointer<UInt8>
  ) {
    let (zero, perByte) = format == .ternary ? (1, 4) : format == .int4 ? (8, 2) : (0, 1)
    let bits = 8 / perByte
    for byte in 0..<(columns + perByte - 1) / perByte {
      var joined: UInt8 = 0
      for place in 0..<min(perByte, columns - byte * perByte) {
        joined |= UInt8(truncatingIfNeeded: Int(codes[byte * perByte + place]) + zero) << UInt8(place * bits)
      }
      bytes[byte] = joined
    }
  }

  /// Returns false if a code is outside the format's range.
  private static func split(
    _ bytes: UnsafePointer<UInt8>, _ format: NumberFormat, _ columns: Int, into codes: UnsafeMutablePointer<Int8>
  ) -> Bool {
    let (zero, perByte) = format == .ternary ? (1, 4) : format == .int4 ? (8, 2) : (0, 1)
    if format == .int8 {
      var isGood = true
      for index in 0..<columns {
        codes[index] = Int8(bitPattern: bytes[index])
        if codes[index] == -128 {
          codes[index] = 0
          isGood = false
        }
      }
      return isGood
    }
    let bits = 8 / perByte
    let mask = UInt8(1 << bits - 1)
    var isGood = true
    for index in 0..<columns {
      let unsigned = bytes[index / perByte] >> UInt8(index % perByte * bits) & mask
      let code = Int(unsigned) - zero
      let isCode = format == .ternary ? code <= 1 : code >= -7
      codes[index] = isCode ? Int8(code) : 0
      if !isCode { isGood = false }
    }
    return isGood
  }

  private static func narrow(
    _ values: UnsafePointer<Float>, _ format: NumberFormat, _ columns: Int, into bytes: UnsafeMutablePointer<UInt8>
  ) {
    let target = UnsafeMutableRawPointer(bytes)
    for index in 0..<columns {
      switch format {
      case .fp16:
        target.storeBytes(of: ck_f16_from_f32(values[index]).littleEndian, toByteOffset: 2 * index, as: UInt16.self)
      case .bf16:
        target.storeBytes(of: ck_bf16_from_f32(values[index]).littleEndian, toByteOffset: 2 * index, as: UInt16.self)
      default: target.storeBytes(of: values[index].bitPattern.littleEndian, toByteOffset: 4 * index, as: UInt32.self)
      }
    }
  }

  /// Returns false if a value is not finite.
  private static func widen(
    _ bytes: UnsafePointer<UInt8>, _ format: NumberFormat, _ columns: Int, into values: UnsafeMutablePointer<Float>
  ) -> Bool {
    let source = UnsafeRawPointer(bytes)
    var isGood = true
    for index in 0..<columns {
      switch format {
      case .fp16:
        values[index] = ck_f32_from_f16(
          UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)))
      case .bf16:
        values[index] = ck_f32_from_bf16(
          UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)))
      default:
        values[index] = Float(
          bitPattern: UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
      }
      if !values[index].isFinite { isGood = false }
    }
    return isGood
  }
}
