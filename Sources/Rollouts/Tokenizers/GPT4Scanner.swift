/// The division of GPT-4 (cl100k), Llama-3 and Qwen into words,
///
///     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
///
/// implemented by hand; `Rules` has the number of digits, and the set in the place of `\p{L}`.
struct GPT4Scanner<Rules: GPT4Rules>: WordScanner {
  private let reader: CharacterReader

  init(bytes: UnsafeBufferPointer<UInt8>) { reader = CharacterReader(bytes: bytes) }

  func wordEnd(from start: Int, limit: Int) -> Int {
    let first = reader.bytes[start]
    if first == UInt8(ascii: "'"), let end = Contraction.end(from: start, limit: limit, in: reader.bytes) {
      return end
    }
    let (characterClass, end) = reader.character(at: start, limit: limit)
    if !characterClass.isDisjoint(with: Rules.letters) {
      return reader.runEnd(of: Rules.letters, from: end, limit: limit)
    }
    if characterClass == .number { return numberEnd(from: end, limit: limit) }
    let next = end < limit ? reader.character(at: end, limit: limit) : nil
    if let next, !LineBreak.contains(first), !next.characterClass.isDisjoint(with: Rules.letters) {
      return reader.runEnd(of: Rules.letters, from: next.end, limit: limit)
    }
    guard characterClass == .space else { return symbolsEnd(from: end, limit: limit) }
    if let next, first == UInt8(ascii: " "), next.characterClass.isDisjoint(with: Self.notSymbols) {
      return symbolsEnd(from: next.end, limit: limit)
    }
    return LineBreak.spaceEnd(from: start, limit: limit, reader)
  }

  private static var notSymbols: CharacterClass { Rules.letters.union([.number, .space]) }

  /// The end of a number of which one character has been read.
  private func numberEnd(from start: Int, limit: Int) -> Int {
    var end = start
    for _ in 1..<Rules.digits where end < limit {
      let next = reader.character(at: end, limit: limit)
      if next.characterClass != .number { break }
      end = next.end
    }
    return end
  }

  /// `[^\s\p{L}\p{N}]*[\r\n]*`.
  private func symbolsEnd(from start: Int, limit: Int) -> Int {
    LineBreak.runEnd(from: reader.runEnd(outside: Self.notSymbols, from: start, limit: limit), limit: limit, reader)
  }
}

/// What the patterns of this form differ in.
protocol GPT4Rules {
  /// The most digits of a word.
  static var digits: Int { get }
  /// The characters that make up words.
  static var letters: CharacterClass { get }
}

/// GPT-4's cl100k, and Llama-3.
enum CL100KRules: GPT4Rules {
  static let digits = 3
  static let letters = CharacterClass.letter
}

/// Qwen2, Qwen2.5 and Qwen3: every digit is a word.
enum QwenRules: GPT4Rules {
  static let digits = 1
  static let letters = CharacterClass.letter
}

/// Qwen3.5: marks belong to words, too.
enum QwenMarkRules: GPT4Rules {
  static let digits = 1
  static let letters: CharacterClass = [.letter, .mark]
}
