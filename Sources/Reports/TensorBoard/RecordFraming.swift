/// TFRecord framing, little-endian:
///
///     length  u64 · masked CRC-32C of the 8 length bytes u32 · data · masked CRC-32C of the data u32
package enum RecordFraming {
  /// The bytes of one record.
  package static func record(_ data: [UInt8]) -> [UInt8] {
    let length = littleEndian(UInt64(data.count))
    return length + littleEndian(MaskedCRC32C.masked(length)) + data + littleEndian(MaskedCRC32C.masked(data))
  }

  private static func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
