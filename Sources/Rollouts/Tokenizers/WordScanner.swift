/// Cuts bytes into the words within which byte-pair merges apply: GPT-2's pattern
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// implemented by hand. A byte that is not part of valid UTF-8 counts as a character of the fourth kind, so every byte
/// string has exactly one division, and the words concatenated are the bytes.
struct WordScanner {
  /// The class of a character in the pattern: `\p{L}`, `\p{N}`, `\s` (the property White_Space), or none of them.
  enum CharacterClass: UInt8 {
    case other, letter, number, space
  }

  private static let asciiClasses: [CharacterClass] = (0..<0x80).map { classify(Unicode.Scalar(UInt8($0))) }

  private static func classify(_ scalar: Unicode.Scalar) -> CharacterClass {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: .letter
    case .decimalNumber, .letterNumber, .otherNumber: .number
    default: scalar.properties.isWhitespace ? .space : .other
    }
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private let asciiClasses = Self.asciiClasses

  /// A scanner of bytes that outlive it.
  init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  /// The end of the word that begins at `start`, which must be below the count.
  func wordEnd(from start: Int) -> Int {
    if bytes[start] == UInt8(ascii: "'"), let end = contractionEnd(from: start) { return end }
    var (characterClass, end) = character(at: start)
    if characterClass == .space {
      guard bytes[start] == UInt8(ascii: " "), end < bytes.count else { return spaceEnd(from: start) }
      (characterClass, end) = character(at: end)
      if characterClass == .space { return spaceEnd(from: start) }
    }
    while end < bytes.count {
      let next = character(at: end)
      if next.characterClass != characterClass { break }
      end = next.end
    }
    return end
  }

  /// `\s+(?!\S)|\s+`: a run of white space leaves its last character to the word that follows, unless it is alone.
  private func spaceEnd(from start: Int) -> Int {
    var lastStart = start
    var end = character(at: start).end
    while end < bytes.count {
      let next = character(at: end)
      if next.characterClass != .space { return lastStart == start ? end : lastStart }
      lastStart = end
      end = next.end
    }
    return end
  }

  private func contractionEnd(from start: Int) -> Int? {
    guard start + 1 < bytes.count else { return nil }
    switch bytes[start + 1] {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"): return byte(at: start + 2, is: "e") ? start + 3 : nil
    case UInt8(ascii: "l"): return byte(at: start + 2, is: "l") ? start + 3 : nil
    default: return nil
    }
  }

  private func byte(at position: Int, is scalar: Unicode.Scalar) -> Bool {
    position < bytes.count && bytes[position] == UInt8(ascii: scalar)
  }

  /// The class and the end of the character at `start`.
  private func character(at start: Int) -> (characterClass: CharacterClass, end: Int) {
    let first = bytes[start]
    if first < 0x80 { return (asciiClasses[Int(first)], start + 1) }
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    guard first >= 0xC2, start + length <= bytes.count else { return (.other, start + 1) }
    var value = UInt32(first) & (0x7F >> UInt32(length))
    for byte in bytes[start + 1..<start + length] {
      guard byte & 0xC0 == 0x80 else { return (.other, start + 1) }
      value = value << 6 | UInt32(byte & 0x3F)
    }
    let isShortest = length == 2 || (length == 3 && value >= 0x800) || (length == 4 && value >= 0x10000)
    guard isShortest, let scalar = Unicode.Scalar(value) else { return (.other, start + 1) }
    return (Self.classify(scalar), start + length)
  }
}
