/// Turns the bytes of drawn tokens into text as soon as it is certain: whole characters, and nothing that may still
/// become a stop string.
package struct TextStream {
  private let stops: [[UInt8]]
  /// Bytes not handed out yet.
  private var pending: [UInt8] = []
  /// Whether a stop string came; nothing is handed out after it.
  package private(set) var isStopped = false

  /// Empty stop strings are left out.
  package init(stops: [String]) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
  }

  /// Takes bytes and returns the text that is certain now.
  package mutating func append(_ bytes: [UInt8]) -> String {
    guard !isStopped else { return "" }
    pending += bytes
    if let end = firstStop() {
      isStopped = true
      pending.removeSubrange(end...)
      return flush()
    }
    var certain = pending.count - longestStopPrefix()
    certain = Self.wholeCharacters(pending[..<certain])
    let text = String(decoding: pending[..<certain], as: UTF8.self)
    pending.removeFirst(certain)
    return text
  }

  /// Everything left, at the end; bytes that are not UTF-8 become U+FFFD.
  package mutating func flush() -> String {
    defer { pending = [] }
    return String(decoding: pending, as: UTF8.self)
  }

  /// Where the earliest stop string starts.
  private func firstStop() -> Int? {
    pending.indices.first { start in stops.contains { pending[start...].starts(with: $0) } }
  }

  /// The longest suffix that a stop string starts with.
  private func longestStopPrefix() -> Int {
    var longest = 0
    for stop in stops {
      for length in stride(from: min(stop.count - 1, pending.count), to: longest, by: -1)
      where pending.suffix(length).elementsEqual(stop.prefix(length)) {
        longest = length
        break
      }
    }
    return longest
  }

  /// The bytes before a character at the end that is not complete yet (at most three bytes of a valid start).
  private static func wholeCharacters(_ bytes: ArraySlice<UInt8>) -> Int {
    for back in 1...4 where back <= bytes.count {
      let byte = bytes[bytes.endIndex - back]
      if byte & 0b1100_0000 == 0b1000_0000 { continue }
      let length =
        byte & 0x80 == 0 ? 1 : byte & 0xE0 == 0xC0 ? 2 : byte & 0xF0 == 0xE0 ? 3 : byte & 0xF8 == 0xF0 ? 4 : 1
      return length > back ? bytes.count - back : bytes.count
    }
    return bytes.count
  }
}
