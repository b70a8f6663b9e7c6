/// GPT-2's division into words,
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// implemented by hand.
struct GPT2Scanner: WordScanner {
  private let reader: CharacterReader

  init(bytes: UnsafeBufferPointer<UInt8>) { reader = CharacterReader(bytes: bytes) }

  func wordEnd(from start: Int, limit: Int) -> Int {
    let first = reader.bytes[start]
    if first == UInt8(ascii: "'"), let end = contractionEnd(from: start, limit: limit) { return end }
    var (characterClass, end) = reader.character(at: start, limit: limit)
    if characterClass == .space {
      guard first == UInt8(ascii: " "), end < limit else { return spaceEnd(from: start, limit: limit) }
      (characterClass, end) = reader.character(at: end, limit: limit)
      if characterClass == .space { return spaceEnd(from: start, limit: limit) }
    }
    if characterClass == .number { return reader.runEnd(of: .number, from: end, limit: limit) }
    return characterClass.isDisjoint(with: .letter)
      ? reader.runEnd(outside: [.letter, .number, .space], from: end, limit: limit)
      : reader.runEnd(of: .letter, from: end, limit: limit)
  }

  /// `\s+(?!\S)|\s+`: a run of white space leaves its last character to the word that follows, unless it is alone.
  private func spaceEnd(from start: Int, limit: Int) -> Int {
    var lastStart = start
    var end = reader.character(at: start, limit: limit).end
    while end < limit {
      let next = reader.character(at: end, limit: limit)
      if next.characterClass != .space { return lastStart == start ? end : lastStart }
      lastStart = end
      end = next.end
    }
    return end
  }

  private func contractionEnd(from start: Int, limit: Int) -> Int? {
    guard start + 1 < limit else { return nil }
    let isLong = { (second: UInt8) in start + 2 < limit && self.reader.bytes[start + 2] == second }
    switch reader.bytes[start + 1] {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"): return isLong(UInt8(ascii: "e")) ? start + 3 : nil
    case UInt8(ascii: "l"): return isLong(UInt8(ascii: "l")) ? start + 3 : nil
    default: return nil
    }
  }
}
