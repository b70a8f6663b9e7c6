/// Turns the bytes of sampled tokens into text as soon as the text is final: complete characters that cannot become
/// part of a stop string.
package struct TextStream {
  private let stops: [[UInt8]]
  /// Bytes not returned yet.
  private var pending: [UInt8] = []
  /// Whether a stop string has occurred; the stream returns no text after it.
  package private(set) var isStopped = false

  /// Ignores empty stop strings.
  package init(stops: [String]) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
  }

  /// Adds bytes and returns the text that has become final.
  package mutating func append(_ bytes: [UInt8]) -> String {
    guard !isStopped else { return "" }
    pending += bytes
    if let end = firstStop() {
      isStopped = true
      pending.removeSubrange(end...)
      return flush()
    }
    var certain = pending.count - longestStopPrefix()
    certain = Self.completeCharacters(pending[..<certain])
    let text = String(decoding: pending[..<certain], as: UTF8.self)
    pending.removeFirst(certain)
    return text
  }

  /// Returns all remaining text at the end; bytes that are not UTF-8 become U+FFFD.
  package mutating func flush() -> String {
    defer { pending = [] }
    return String(decoding: pending, as: UTF8.self)
  }

  /// The start of the earliest stop string.
  private func firstStop() -> Int? {
    pending.indices.first { start in stops.contains { pending[start...].starts(with: $0) } }
  }

  /// The length of the longest suffix that begins a stop string.
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

  /// The number of bytes before an incomplete character at the end (at most the first three bytes of a valid one).
  private static func completeCharacters(_ bytes: ArraySlice<UInt8>) -> Int {
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
