/// GPT-2's notation of bytes as visible characters in vocabulary and merge files.
///
/// Printable bytes of Latin-1 stand for themselves; the 68 others become U+0100, U+0101, … in byte order.
/// Source: `bytes_to_unicode` of GPT-2's encoder (Radford et al., 2019).
enum ByteSymbols {
  /// The bytes in the order of GPT-2's first 256 ids: the printable ones, then the others.
  static let order: [UInt8] = {
    let printable = Array(UInt8(0x21)...0x7E) + Array(UInt8(0xA1)...0xAC) + Array(UInt8(0xAE)...0xFF)
    let isPrintable = Set(printable)
    return printable + (UInt8.min...UInt8.max).filter { !isPrintable.contains($0) }
  }()

  private static let byteOfScalar: [UInt8?] = {
    var bytes = [UInt8?](repeating: nil, count: 0x100 + 68)
    for (rank, byte) in order.enumerated() { bytes[rank < 188 ? Int(byte) : 0x100 + rank - 188] = byte }
    return bytes
  }()

  /// The bytes that a token's visible form stands for; nil if a character is not a byte symbol.
  static func bytes(of text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars {
      guard Int(scalar.value) < byteOfScalar.count, let byte = byteOfScalar[Int(scalar.value)] else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}
