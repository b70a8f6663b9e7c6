/// A recursive-descent JSON reader over bytes; `JSONValue.parse` is its public face.
///
/// Invariant: `position` is the next unread byte and never passes `bytes.count`.
struct JSONParser {
  let bytes: [UInt8]
  private let reading: JSONValue.Reading
  private var position = 0
  private static let maximumDepth = 256

  init(bytes: [UInt8], _ reading: JSONValue.Reading) {
    self.bytes = bytes
    self.reading = reading
  }

  mutating func parseText() throws(JSONSyntaxError) -> JSONValue {
    let value = try parseValue(depth: 0)
    skipSpace()
    if position < bytes.count { throw fault("unexpected \(current) after the value") }
    return value
  }

  private mutating func parseValue(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    if depth > Self.maximumDepth { throw fault("more than \(Self.maximumDepth) nested levels") }
    skipSpace()
    guard let byte = peek() else { throw fault("expected a value, found the end") }
    switch byte {
    case UInt8(ascii: "{"): return try parseObject(depth: depth)
    case UInt8(ascii: "["): return try parseList(depth: depth)
    case UInt8(ascii: "\""): return .text(try parseString())
    case UInt8(ascii: "t"): return try parseWord("true", as: .bool(true))
    case UInt8(ascii: "f"): return try parseWord("false", as: .bool(false))
    case UInt8(ascii: "n"): return try parseWord("null", as: .null)
    case UInt8(ascii: "N") where reading.contains(.nonFiniteNumbers):
      return try parseWord("NaN", as: .number(.nan))
    case UInt8(ascii: "I") where reading.contains(.nonFiniteNumbers):
      return try parseWord("Infinity", as: .number(.infinity))
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
    default: throw fault("expected a value, found \(current)")
    }
  }

  private mutating func parseObject(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    position += 1
    var members: [String: JSONValue] = [:]
    skipSpace()
    if take("}") { return .object(members) }
    while true {
      skipSpace()
      if peek() != UInt8(ascii: "\"") { throw fault("expected a key in quotes, found \(current)") }
      let key = try parseString()
      if members[key] != nil { throw fault("key '\(key)' appears twice") }
      skipSpace()
      if !take(":") { throw fault("expected ':' after the key '\(key)', found \(current)") }
      members[key] = try parseValue(depth: depth + 1)
      skipSpace()
      if take("}") { return .object(members) }
      if !take(",") { throw fault("expected ',' or '}', found \(current)") }
    }
  }

  private mutating func parseList(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    position += 1
    var elements: [JSONValue] = []
    skipSpace()
    if take("]") { return .list(elements) }
    while true {
      elements.append(try parseValue(depth: depth + 1))
      skipSpace()
      if take("]") { return .list(elements) }
      if !take(",") { throw fault("expected ',' or ']', found \(current)") }
    }
  }

  private mutating func parseString() throws(JSONSyntaxError) -> String {
    position += 1
    var text: [UInt8] = []
    var plainStart = position
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        text.append(contentsOf: bytes[plainStart..<position])
        position += 1
        return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"):
        text.append(contentsOf: bytes[plainStart..<position])
        position += 1
        text.append(contentsOf: try parseEscape())
        plainStart = position
      case 0..<0x20: throw fault("a control character must be escaped in a string")
      default: position += 1
      }
    }
    throw fault("the string does not end")
  }

  private mutating func parseEscape() throws(JSONSyntaxError) -> [UInt8] {
    guard let byte = peek() else { throw fault("the string does not end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"): return Array(String(try parseEscapedScalar()).utf8)
    default:
      position -= 1
      throw fault("'\\\(Character(Unicode.Scalar(byte)))' is no JSON escape")
    }
  }

  private mutating func parseEscapedScalar() throws(JSONSyntaxError) -> Unicode.Scalar {
    let first = try parseHexadecimalUnit()
    if let scalar = Unicode.Scalar(first) { return scalar }
    if first < 0xDC00, take("\\"), take("u") {
      let second = try parseHexadecimalUnit()
      if (0xDC00..<0xE000).contains(second),
        let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
      {
        return scalar
      }
    }
    throw fault("an unpaired surrogate in a \\u escape")
  }

  private mutating func parseHexadecimalUnit() throws(JSONSyntaxError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw fault("a \\u escape needs four hexadecimal digits")
      }
      value = value << 4 + UInt32(digit)
      position += 1
    }
    return value
  }

  private mutating func parseNumber() throws(JSONSyntaxError) -> JSONValue {
    let start = position
    if take("-"), reading.contains(.nonFiniteNumbers), peek() == UInt8(ascii: "I") {
      return try parseWord("Infinity", as: .number(-.infinity))
    }
    if !take("0") { try skipDigits() }
    var isWhole = true
    if take(".") {
      isWhole = false
      try skipDigits()
    }
    if take("e") || take("E") {
      isWhole = false
      _ = take("+") || take("-")
      try skipDigits()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    let isExact = reading.contains(.exactNumbers)
    if isWhole, let integer = Int(text), !isExact || text == String(integer) { return .integer(integer) }
    // Whole numbers have no largest one in Python, which most reward programs are written in.
    if isExact, isWhole { return .literal(text) }
    guard let number = Double(text), number.isFinite || reading.contains(.nonFiniteNumbers) else {
      throw fault("the number \(text.prefix(40)) is out of range")
    }
    return isExact && text != "\(number)" ? .literal(text) : .number(number)
  }

  private mutating func skipDigits() throws(JSONSyntaxError) {
    let start = position
    while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    if position == start { throw fault("expected a digit, found \(current)") }
  }

  private mutating func parseWord(_ word: StaticString, as value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
    let text = Array("\(word)".utf8)
    if !bytes[position...].starts(with: text) { throw fault("expected \(word), found \(current)") }
    position += text.count
    return value
  }

  private mutating func skipSpace() {
    while let byte = peek(), byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
  }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: scalar) else { return false }
    position += 1
    return true
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private var current: String {
    guard let byte = peek() else { return "the end" }
    return byte > 0x20 && byte < 0x7F ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
  }

  private func fault(_ problem: String) -> JSONSyntaxError { JSONSyntaxError(column: position + 1, problem: problem) }
}
