/// English contractions in either case: `(?i:'s|'t|'re|'ve|'m|'ll|'d)`.
enum Contraction {
  /// The end of the contraction whose apostrophe is at `start`; nil if no contraction begins there.
  static func end(from start: Int, limit: Int, in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    guard start + 1 < limit, bytes[start] == UInt8(ascii: "'") else { return nil }
    let second = start + 2 < limit ? lowercased(bytes[start + 2]) : 0
    switch lowercased(bytes[start + 1]) {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"): return second == UInt8(ascii: "e") ? start + 3 : nil
    case UInt8(ascii: "l"): return second == UInt8(ascii: "l") ? start + 3 : nil
    // ſ (U+017F) is a lower case of S.
    case 0xC5: return start + 2 < limit && bytes[start + 2] == 0xBF ? start + 3 : nil
    default: return nil
    }
  }

  private static func lowercased(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }
}
