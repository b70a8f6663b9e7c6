/// Reads the characters of UTF-8 bytes. A byte that is not part of valid UTF-8 is a character of the class `other`.
struct CharacterReader {
  let bytes: UnsafeBufferPointer<UInt8>
  private let basicPlane = CharacterClass.basicPlane

  /// A reader of bytes that outlive it.
  init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// The class and the end of the character at `start`, which ends at `limit` at the latest.
  func character(at start: Int, limit: Int) -> (characterClass: CharacterClass, end: Int) {
    let first = bytes[start]
    if first < 0x80 { return (basicPlane[Int(first)], start + 1) }
    guard let (scalar, end) = scalar(at: start, limit: limit) else { return (.other, start + 1) }
    let value = Int(scalar.value)
    return (value < basicPlane.count ? basicPlane[value] : CharacterClass(scalar), end)
  }

  /// The scalar at `start` and its end; nil if the bytes there are not valid UTF-8.
  func scalar(at start: Int, limit: Int) -> (scalar: Unicode.Scalar, end: Int)? {
    let first = bytes[start]
    if first < 0x80 { return (Unicode.Scalar(first), start + 1) }
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    guard first >= 0xC2, start + length <= limit else { return nil }
    var value = UInt32(first) & (0x7F >> UInt32(length))
    for byte in bytes[start + 1..<start + length] {
      guard byte & 0xC0 == 0x80 else { return nil }
      value = value << 6 | UInt32(byte & 0x3F)
    }
    let isShortest = length == 2 || (length == 3 && value >= 0x800) || (length == 4 && value >= 0x10000)
    guard isShortest, let scalar = Unicode.Scalar(value) else { return nil }
    return (scalar, start + length)
  }

  /// The scalar that ends at `end` and does not begin before `limit`; nil if the bytes there are not valid UTF-8.
  func scalar(before end: Int, limit: Int) -> (scalar: Unicode.Scalar, start: Int)? {
    for start in stride(from: end - 1, through: max(limit, end - 4), by: -1) where bytes[start] & 0xC0 != 0x80 {
      guard let (scalar, found) = scalar(at: start, limit: end), found == end else { return nil }
      return (scalar, start)
    }
    return nil
  }

  /// The end of the run of characters of `classes` from `start`.
  func runEnd(of classes: CharacterClass, from start: Int, limit: Int) -> Int {
    var end = start
    while end < limit {
      let next = character(at: end, limit: limit)
      if next.characterClass.isDisjoint(with: classes) { break }
      end = next.end
    }
    return end
  }

  /// The end of the run of characters of none of `classes` from `start`.
  func runEnd(outside classes: CharacterClass, from start: Int, limit: Int) -> Int {
    var end = start
    while end < limit {
      let next = character(at: end, limit: limit)
      if !next.characterClass.isDisjoint(with: classes) { break }
      end = next.end
    }
    return end
  }
}
