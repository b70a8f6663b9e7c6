/// Finds added tokens in texts: the leftmost, of several at one position the longest, without overlap.
///
/// A special token is found, too, but its text remains ordinary text; other tokens inside it are not looked for. These
/// are the rules of the `tokenizers` library with `encode_special_tokens`.
struct AddedTokenMatcher: Sendable {
  /// A part of a text: bytes to divide into words, or a token.
  enum Segment: Equatable {
    case text(Range<Int>)
    case token(Int32)
  }

  private let tokens: [AddedToken]
  /// A trie of the contents: the next node by 256 · node + byte. Node 0 is the root.
  private var nodes: [Int: Int] = [:]
  /// The index of the token that ends at a node.
  private var tokenOfNode: [Int: Int] = [:]
  private var canBegin = [Bool](repeating: false, count: 256)

  /// Whether no text contains a token to encode.
  var isEmpty: Bool { tokens.allSatisfy(\.isSpecial) }

  /// - Parameter contents: what to look for, for each token.
  init(_ tokens: [AddedToken], contents: [[UInt8]]) {
    self.tokens = tokens
    var count = 1
    for (index, content) in contents.enumerated() where !content.isEmpty {
      var node = 0
      canBegin[Int(content[0])] = true
      for byte in content {
        let key = node << 8 | Int(byte)
        if let next = nodes[key] {
          node = next
        } else {
          nodes[key] = count
          node = count
          count += 1
        }
      }
      if tokenOfNode[node] == nil { tokenOfNode[node] = index }
    }
  }

  /// The segments of a range of bytes, in order.
  func segments(of range: Range<Int>, in bytes: UnsafeBufferPointer<UInt8>) -> [Segment] {
    if isEmpty { return range.isEmpty ? [] : [.text(range)] }
    let reader = CharacterReader(bytes: bytes)
    var segments: [Segment] = []
    var done = range.lowerBound
    var position = range.lowerBound
    while position < range.upperBound {
      guard canBegin[Int(bytes[position])], let (index, end) = longest(at: position, range, bytes) else {
        position += 1
        continue
      }
      let token = tokens[index]
      var start = position
      position = end
      if token.isSpecial || (token.isSingleWord && !isWord(start..<end, in: range, reader)) { continue }
      if token.takesSpaceOnLeft { start = max(spaceStart(before: start, range, reader), done) }
      let stop = token.takesSpaceOnRight ? reader.runEnd(of: .space, from: end, limit: range.upperBound) : end
      if done < start { segments.append(.text(done..<start)) }
      segments.append(.token(token.id))
      done = stop
    }
    if done < range.upperBound { segments.append(.text(done..<range.upperBound)) }
    return segments
  }

  private func longest(
    at start: Int, _ range: Range<Int>, _ bytes: UnsafeBufferPointer<UInt8>
  ) -> (index: Int, end: Int)? {
    var found: (index: Int, end: Int)?
    var node = 0
    var position = start
    while position < range.upperBound, let next = nodes[node << 8 | Int(bytes[position])] {
      node = next
      position += 1
      if let index = tokenOfNode[node] { found = (index, position) }
    }
    return found
  }

  private func isWord(_ token: Range<Int>, in range: Range<Int>, _ reader: CharacterReader) -> Bool {
    if let before = reader.scalar(before: token.lowerBound, limit: range.lowerBound),
      Self.isWordCharacter(before.scalar)
    {
      return false
    }
    guard token.upperBound < range.upperBound,
      let after = reader.scalar(at: token.upperBound, limit: range.upperBound)
    else { return true }
    return !Self.isWordCharacter(after.scalar)
  }

  /// `\w` of Unicode's regular expressions (UTS #18).
  private static func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
    let properties = scalar.properties
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
    default: return properties.isAlphabetic || properties.isJoinControl
    }
  }

  private func spaceStart(before end: Int, _ range: Range<Int>, _ reader: CharacterReader) -> Int {
    var start = end
    while let before = reader.scalar(before: start, limit: range.lowerBound), before.scalar.properties.isWhitespace {
      start = before.start
    }
    return start
  }
}
