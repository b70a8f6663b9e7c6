/// Carriage returns and line feeds, to which GPT-4's patterns give words of their own.
enum LineBreak {
  static func contains(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") }

  /// `[\r\n]*`.
  static func runEnd(from start: Int, limit: Int, _ reader: CharacterReader) -> Int {
    var end = start
    while end < limit, contains(reader.bytes[end]) { end += 1 }
    return end
  }

  /// `\s*[\r\n]+|\s+(?!\S)|\s+`: a run of white space ends after its last line break; without one, it leaves its last
  /// character to the word that follows, unless it is alone.
  static func spaceEnd(from start: Int, limit: Int, _ reader: CharacterReader) -> Int {
    var lastStart = start
    var end = start
    var breakEnd: Int?
    while end < limit {
      let next = reader.character(at: end, limit: limit)
      if next.characterClass != .space {
        return breakEnd ?? (lastStart == start ? end : lastStart)
      }
      lastStart = end
      end = next.end
      if contains(reader.bytes[lastStart]) { breakEnd = end }
    }
    return breakEnd ?? end
  }
}
