/// The checksum of TFRecord files: CRC-32C (Castagnoli), masked so that the checksum of bytes that contain a checksum is not
/// weaker.
///
///     masked = ((crc >> 15) | (crc << 17)) + 0xA282EAD8 (mod 2³²)
///
/// Sources: RFC 3720, appendix B.4; TensorFlow, tsl/lib/hash/crc32c.h.
package enum MaskedCRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { remainder, _ in
      remainder & 1 == 1 ? remainder >> 1 ^ 0x82F6_3B78 : remainder >> 1
    }
  }

  /// The plain CRC-32C.
  package static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    let table = Self.table
    return ~bytes.reduce(UInt32.max) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 0xFF)] }
  }

  /// The masked checksum, as stored in a record.
  package static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
    let checksum = checksum(bytes)
    return (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8
  }
}
