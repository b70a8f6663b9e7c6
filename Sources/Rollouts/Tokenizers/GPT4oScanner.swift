/// The division of GPT-4o and gpt-oss (o200k) into words,
///
///     X?[U M]*[L M]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|X?[U M]+[L M]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|
///     \p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
///
/// implemented by hand; X is `[^\r\n\p{L}\p{N}]`, U is `\p{Lu}\p{Lt}`, L is `\p{Ll}`, and M is `\p{Lm}\p{Lo}\p{M}`, the
/// letters without case, and marks.
struct GPT4oScanner: WordScanner {
  private let reader: CharacterReader
  private static let both: CharacterClass = [.caseless, .mark]
  private static let leading = both.union(.uppercase)
  private static let trailing = both.union(.lowercase)

  init(bytes: UnsafeBufferPointer<UInt8>) { reader = CharacterReader(bytes: bytes) }

  func wordEnd(from start: Int, limit: Int) -> Int {
    let first = reader.bytes[start]
    let (characterClass, end) = reader.character(at: start, limit: limit)
    if characterClass == .number { return numberEnd(from: end, limit: limit) }
    if let end = letterEnd(from: start, after: characterClass, end, limit: limit) {
      return Contraction.end(from: end, limit: limit, in: reader.bytes) ?? end
    }
    guard characterClass == .space else { return symbolsEnd(from: end, limit: limit) }
    if first == UInt8(ascii: " "), end < limit {
      let next = reader.character(at: end, limit: limit)
      if next.characterClass.isDisjoint(with: [.letter, .number, .space]) {
        return symbolsEnd(from: next.end, limit: limit)
      }
    }
    return LineBreak.spaceEnd(from: start, limit: limit, reader)
  }

  /// The end of the first two alternatives without their contraction; nil if neither matches.
  private func letterEnd(from start: Int, after characterClass: CharacterClass, _ end: Int, limit: Int) -> Int? {
    let isLetter = !characterClass.isDisjoint(with: .letter)
    let canPrecede = !isLetter && !LineBreak.contains(reader.bytes[start])
    if canPrecede, let found = trailingEnd(from: end, limit: limit) { return found }
    if isLetter || characterClass == .mark, let found = trailingEnd(from: start, limit: limit) { return found }
    guard isLetter || canPrecede else { return nil }
    let from = isLetter ? start : end
    let found = reader.runEnd(of: Self.leading, from: from, limit: limit)
    return found > from ? found : nil
  }

  /// `[U M]*[L M]+`: the first set leaves the second at least one character.
  private func trailingEnd(from start: Int, limit: Int) -> Int? {
    var end = start
    var lastOfBoth: Int?
    while end < limit {
      let next = reader.character(at: end, limit: limit)
      if next.characterClass.isDisjoint(with: Self.leading) { break }
      end = next.end
      if !next.characterClass.isDisjoint(with: Self.both) { lastOfBoth = end }
    }
    let found = reader.runEnd(of: Self.trailing, from: end, limit: limit)
    return found > end ? found : lastOfBoth
  }

  /// The end of a number of which one character has been read.
  private func numberEnd(from start: Int, limit: Int) -> Int {
    var end = start
    for _ in 1..<3 where end < limit {
      let next = reader.character(at: end, limit: limit)
      if next.characterClass != .number { break }
      end = next.end
    }
    return end
  }

  /// `[^\s\p{L}\p{N}]*[\r\n/]*`.
  private func symbolsEnd(from start: Int, limit: Int) -> Int {
    var end = reader.runEnd(outside: [.letter, .number, .space], from: start, limit: limit)
    while end < limit, LineBreak.contains(reader.bytes[end]) || reader.bytes[end] == UInt8(ascii: "/") { end += 1 }
    return end
  }
}
