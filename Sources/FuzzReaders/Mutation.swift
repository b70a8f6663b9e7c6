/// Mutates inputs: flips bits, inserts numbers at the limits of their types, and duplicates, removes or splices parts.
/// The same seed gives the same mutations.
struct Mutation {
  private var state: UInt64
  private static let tokens = [
    "9223372036854775807", "18446744073709551616", "4611686018427387904", "-1", "0", "1e308", "-1e-320", "NaN", "null",
    "true", "\"", "[", "]", "{", "}", ",", ":", "\\u0000", "\\ud800", "\u{FEFF}", "\n", "\r\n", "é", "&a *a", "- ",
    "# ",
  ].map { Array($0.utf8) }

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  private mutating func number(below count: Int) -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state >> 33) % max(1, count)
  }

  mutating func changed(_ seed: [UInt8], others: [[UInt8]]) -> [UInt8] {
    var bytes = seed
    for _ in 0...number(below: 3) {
      let start = number(below: bytes.count + 1)
      let end = min(bytes.count, start + number(below: 12))
      switch number(below: 7) {
      case 0 where !bytes.isEmpty: bytes[number(below: bytes.count)] ^= 1 << UInt8(number(below: 8))
      case 1 where !bytes.isEmpty: bytes[number(below: bytes.count)] = [0, 0xFF, 0x7F, 0x80][number(below: 4)]
      case 2: bytes.removeSubrange(start..<end)
      case 3: bytes.insert(contentsOf: bytes[start..<end], at: start)
      case 4: bytes.replaceSubrange(start..<end, with: Self.tokens[number(below: Self.tokens.count)])
      case 5: replaceNumber(&bytes, from: start)
      default:
        let other = others[number(below: others.count)]
        let first = number(below: other.count + 1)
        bytes.replaceSubrange(start..<end, with: other[first..<min(other.count, first + number(below: 40))])
      }
    }
    return bytes
  }

  /// Replaces the first number from `start` by another one.
  private mutating func replaceNumber(_ bytes: inout [UInt8], from start: Int) {
    let isDigit = { (byte: UInt8) in (48...57).contains(byte) }
    guard let first = bytes[start...].firstIndex(where: isDigit) else { return }
    let end = bytes[first...].firstIndex { !isDigit($0) } ?? bytes.count
    bytes.replaceSubrange(first..<end, with: Self.tokens[number(below: 8)])
  }
}
