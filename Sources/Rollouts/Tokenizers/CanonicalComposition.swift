import Foundation

/// Unicode's normalization form C of bytes; a byte that is not part of valid UTF-8 stays as it is.
///
/// Characters that are newer than Unicode 9 stay as they are, too, and nothing is reordered or composed across them: the
/// `tokenizers` library, with which published models were trained, has the tables of Unicode 9. The form of older
/// characters never changes.
package enum CanonicalComposition {
  /// The normalised bytes of a range; nil if it is normalised already.
  package static func normalized(_ range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    let reader = CharacterReader(bytes: bytes)
    var normalized: [UInt8] = []
    var copied = range.lowerBound
    var position = range.lowerBound
    while let span = unsureSpan(position..<range.upperBound, reader) {
      let composed = composed(span, reader)
      if !composed.elementsEqual(bytes[span]) {
        normalized += bytes[copied..<span.lowerBound]
        normalized += composed
        copied = span.upperBound
      }
      position = span.upperBound
    }
    if copied == range.lowerBound { return nil }
    return normalized + bytes[copied..<range.upperBound]
  }

  private static func composed(_ span: Range<Int>, _ reader: CharacterReader) -> [UInt8] {
    var composed: [UInt8] = []
    var start = span.lowerBound
    while start < span.upperBound {
      var end = start
      while let next = known(at: end, span.upperBound, reader) { end = next }
      if end > start {
        let text = String(decoding: UnsafeBufferPointer(rebasing: reader.bytes[start..<end]), as: UTF8.self)
        // Foundation does not compose a Hangul syllable with a final consonant unless the syllable is decomposed.
        composed += text.decomposedStringWithCanonicalMapping.precomposedStringWithCanonicalMapping.utf8
      }
      start = end
      if start < span.upperBound {
        let next = reader.scalar(at: start, limit: span.upperBound)?.end ?? start + 1
        composed += reader.bytes[start..<next]
        start = next
      }
    }
    return composed
  }

  /// The end of the character at `position` if it is one of Unicode 9.
  private static func known(at position: Int, _ limit: Int, _ reader: CharacterReader) -> Int? {
    guard position < limit, let (scalar, end) = reader.scalar(at: position, limit: limit),
      let age = scalar.properties.age, age.major <= 9
    else { return nil }
    return end
  }

  /// The first run of characters that are not sure, with the character before, with which they may compose; nil if all
  /// characters are sure.
  private static func unsureSpan(_ range: Range<Int>, _ reader: CharacterReader) -> Range<Int>? {
    var lower: Int?
    var previous = range.lowerBound
    var position = range.lowerBound
    while position < range.upperBound {
      var end = position + 1
      var isSure = true
      if reader.bytes[position] >= 0x80, let next = reader.scalar(at: position, limit: range.upperBound) {
        (isSure, end) = (Self.isSure(next.scalar), next.end)
      }
      if let lower, isSure { return lower..<position }
      if !isSure, lower == nil { lower = previous }
      previous = position
      position = end
    }
    return lower.map { $0..<range.upperBound }
  }

  /// Whether the character is certainly normalised, whatever stands before it: it has no decomposition, is not a
  /// combining mark, and never composes with a character before it. False for many characters of which that is true.
  package static func isSure(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x300, 0x400..<0x483, 0x5D0..<0x5EB, 0x621..<0x64B, 0xE01..<0xE31, 0x2010..<0x2028, 0x2190..<0x2200,
      0x2500..<0x2800, 0x3001..<0x302A, 0x3041..<0x3097, 0x30A1..<0x30FB, 0x3400..<0xA000, 0xAC00..<0xD7A4,
      0xFF01..<0xFF9E, 0x1F300..<0x1FB00:
      true
    default: false
    }
  }
}
