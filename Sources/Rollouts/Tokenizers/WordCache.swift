/// The ids of words already seen in one call of `encode`, by open addressing on the words' bytes.
///
/// A word is stored as its range in the encoded text, and its ids as their range in the output, so the cache stores
/// neither bytes nor ids.
struct WordCache {
  private struct Entry {
    var start = -1
    var outputStart = 0
    var length: Int32 = 0
    var outputCount: Int32 = 0
  }

  private var entries: [Entry]
  private var used = 0
  /// Longer words are rare and seldom repeat.
  static let maximumWordLength = 48
  private static let maximumEntries = 1 << 18

  init() { entries = Array(repeating: Entry(), count: 64) }

  /// The slot of the word and, if it was seen before, the range of its ids in the output.
  func find(_ word: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> (slot: Int, ids: Range<Int>?) {
    var slot = Self.hash(word, in: text) & (entries.count - 1)
    while entries[slot].start >= 0 {
      let entry = entries[slot]
      if Int(entry.length) == word.count, Self.areEqual(entry.start, word, in: text) {
        return (slot, entry.outputStart..<entry.outputStart + Int(entry.outputCount))
      }
      slot = (slot + 1) & (entries.count - 1)
    }
    return (slot, nil)
  }

  /// Stores a word in the empty slot that `find` returned.
  mutating func insert(_ word: Range<Int>, ids: Range<Int>, slot: Int, in text: UnsafeBufferPointer<UInt8>) {
    if used >= Self.maximumEntries { return }
    entries[slot] = Entry(
      start: word.lowerBound, outputStart: ids.lowerBound, length: Int32(word.count), outputCount: Int32(ids.count))
    used += 1
    if 2 * used > entries.count { grow(in: text) }
  }

  private mutating func grow(in text: UnsafeBufferPointer<UInt8>) {
    let old = entries
    entries = Array(repeating: Entry(), count: 4 * old.count)
    for entry in old where entry.start >= 0 {
      let word = entry.start..<entry.start + Int(entry.length)
      var slot = Self.hash(word, in: text) & (entries.count - 1)
      while entries[slot].start >= 0 { slot = (slot + 1) & (entries.count - 1) }
      entries[slot] = entry
    }
  }

  private static func hash(_ word: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for position in word { hash = (hash ^ UInt64(text[position])) &* 0x100_0000_01B3 }
    return Int(truncatingIfNeeded: (hash ^ hash >> 32) >> 1)
  }

  private static func areEqual(_ start: Int, _ word: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Bool {
    for offset in 0..<word.count where text[start + offset] != text[word.lowerBound + offset] { return false }
    return true
  }
}
