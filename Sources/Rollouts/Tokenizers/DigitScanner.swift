/// SmolLM's and StarCoder's division: every number character is a word, and the text between them is divided like
/// GPT-2's, as if each part were a text of its own.
struct DigitScanner: WordScanner {
  private let reader: CharacterReader
  private let words: GPT2Scanner
  /// The end of the part without number characters that was scanned last.
  private var partEnd = 0

  init(bytes: UnsafeBufferPointer<UInt8>) {
    reader = CharacterReader(bytes: bytes)
    words = GPT2Scanner(bytes: bytes)
  }

  mutating func wordEnd(from start: Int, limit: Int) -> Int {
    if start >= partEnd {
      let (characterClass, end) = reader.character(at: start, limit: limit)
      if characterClass == .number { return end }
      partEnd = reader.runEnd(outside: .number, from: end, limit: limit)
    }
    return words.wordEnd(from: start, limit: partEnd)
  }
}
