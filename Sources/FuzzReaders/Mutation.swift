/// Changes of inputs that find what readers overlook: flipped bits, numbers at the ends of their ranges, parts moved,
/// left out and taken from elsewhere. The same seed gives the same changes.
struct Mutation {
  private var state: UInt64
  private static let spices = [
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
      let place = number(below: bytes.count + 1)
      let end = min(bytes.count, place + number(below: 12))
      switch number(below: 7) {
      case 0 where !bytes.isEmpty: bytes[number(below: bytes.count)] ^= 1 << UInt8(number(below: 8))
      case 1 where !bytes.isEmpty: bytes[number(below: bytes.count)] = [0, 0xFF, 0x7F, 0x80][number(below: 4)]
      case 2: bytes.removeSubrange(place..<end)
      case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
      case 4: bytes.replaceSubrange(place..<end, with: Self.spices[number(below: Self.spices.count)])
      case 5: replaceNumber(&bytes, from: place)
      default:
        let other = others[number(below: others.count)]
        let first = number(below: other.count + 1)
        bytes.replaceSubrange(place..<end, with: other[first..<min(other.count, first + number(below: 40))])
      }
    }
    return bytes
  }

  /// Puts another number where one stands.
  private mutating func replaceNumber(_ bytes: inout [UInt8], from place: Int) {
    let isDigit = { (byte: UInt8) in (48...57).contains(byte) }
    guard let first = bytes[place...].firstIndex(where: isDigit) else { return }
    let end = bytes[first...].firstIndex { !isDigit($0) } ?? bytes.count
    bytes.replaceSubrange(first..<end, with: Self.spices[number(below: 8)])
  }
}
