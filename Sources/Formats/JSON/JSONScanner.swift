/// Reads JSON from the front, token by token. Callers that expect one structure ask for its parts in order; `value` reads
/// whatever comes.
///
/// It works on untrusted bytes: it never reads past the end, builds nothing larger than the text itself, and stops at the
/// first byte that is not allowed. Only `value` recurses, to a bounded depth.
///
/// Invariant: `position` is the next unread byte and never exceeds the number of bytes.
package struct JSONScanner {
  let bytes: UnsafeRawBufferPointer
  /// The next byte to read.
  package internal(set) var position = 0

  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package func fault(_ problem: String, at position: Int? = nil) -> JSONSyntaxError {
    JSONSyntaxError(position: position ?? self.position, problem: problem)
  }

  package mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
  }

  /// The byte at `position`, not consumed; nil at the end.
  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// The byte at `position` in words.
  var found: String {
    guard let byte = next else { return "the end" }
    return byte > 0x20 && byte < 0x7F ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
  }

  /// Consumes the next byte if it is this character.
  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// Consumes white space and this character.
  package mutating func expect(_ character: Unicode.Scalar) throws(JSONSyntaxError) {
    skipSpace()
    if !take(character) { throw fault("expected '\(character)', found \(found)") }
  }

  /// Consumes white space to the end of the text.
  package mutating func expectEnd() throws(JSONSyntaxError) {
    skipSpace()
    if position < bytes.count { throw fault("expected the end, found \(found)") }
  }

  /// Consumes the separator in a list or object: true if another element follows, false if `end` closed it.
  package mutating func another(before end: Unicode.Scalar, isFirst: Bool) throws(JSONSyntaxError) -> Bool {
    skipSpace()
    if take(end) { return false }
    if isFirst, next != nil { return true }
    guard take(",") else { throw fault("expected \(isFirst ? "" : "',' or ")'\(end)', found \(found)") }
    return true
  }

  /// A member's key and the colon after it.
  package mutating func key() throws(JSONSyntaxError) -> String {
    skipSpace()
    guard next == UInt8(ascii: "\"") else { throw fault("expected a key in quotes, found \(found)") }
    let key = try string()
    try expect(":")
    return key
  }

  /// An unsigned integer below 2⁶³, without sign, fraction, exponent or leading zero.
  package mutating func integer() throws(JSONSyntaxError) -> Int {
    skipSpace()
    let first = position
    var value = 0
    while let byte = next, Self.isDigit(byte) {
      let (shifted, overflow1) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow2) = shifted.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      guard !overflow1, !overflow2 else { throw fault("the integer does not fit 63 bits", at: first) }
      value = sum
      position += 1
    }
    guard position > first else { throw fault("expected an unsigned integer, found \(found)") }
    if bytes[first] == UInt8(ascii: "0"), position - first > 1 { throw fault("an integer starts with 0", at: first) }
    if let byte = next, [".", "e", "E"].contains(Unicode.Scalar(byte)) {
      throw fault("expected an unsigned integer, found a fraction", at: first)
    }
    return value
  }

  static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// A list of unsigned integers of at most `limit` elements.
  package mutating func integers(limit: Int) throws(JSONSyntaxError) -> [Int] {
    try expect("[")
    var values: [Int] = []
    while try another(before: "]", isFirst: values.isEmpty) {
      guard values.count < limit else { throw fault("more than \(limit) numbers in a list") }
      values.append(try integer())
    }
    return values
  }

  /// A string, unescaped; its bytes must be UTF-8 and its surrogates paired.
  package mutating func string() throws(JSONSyntaxError) -> String {
    skipSpace()
    let first = position
    guard take("\"") else { throw fault("expected a string, found \(found)") }
    var text: [UInt8] = []
    var plainStart = position
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        text.append(contentsOf: bytes[plainStart..<position])
        position += 1
        guard let string = String(validating: text, as: UTF8.self) else {
          throw fault("the string is not UTF-8", at: first)
        }
        return string
      case UInt8(ascii: "\\"):
        text.append(contentsOf: bytes[plainStart..<position])
        text.append(contentsOf: try escape())
        plainStart = position
      case 0..<0x20: throw fault("a control character must be escaped in a string")
      default: position += 1
      }
    }
    throw fault("the string does not end", at: first)
  }

  /// An escape, from its backslash on; the UTF-8 of what it stands for.
  private mutating func escape() throws(JSONSyntaxError) -> [UInt8] {
    let first = position
    position += 1
    guard let kind = next else { throw fault("the string does not end") }
    position += 1
    switch Unicode.Scalar(kind) {
    case "\"", "\\", "/": return [kind]
    case "b": return [0x08]
    case "f": return [0x0C]
    case "n": return [0x0A]
    case "r": return [0x0D]
    case "t": return [0x09]
    case "u":
      let unit = try hexadecimal()
      if let scalar = Unicode.Scalar(unit) { return Array(String(Character(scalar)).utf8) }
      if unit < 0xDC00, take("\\"), take("u") {
        let low = try hexadecimal()
        if (0xDC00..<0xE000).contains(low),
          let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
        {
          return Array(String(Character(scalar)).utf8)
        }
      }
      throw fault("a \\u escape is an unpaired surrogate", at: first)
    default:
      position = first
      throw fault("a backslash must be followed by one of \"\\/bfnrtu")
    }
  }

  private mutating func hexadecimal() throws(JSONSyntaxError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw fault("expected four hexadecimal digits after \\u, found \(found)")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}

/// Where and why a text is not the JSON that was expected.
public struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The byte of the fault, from 0.
  public let position: Int
  public let problem: String

  /// The byte is counted from 1, as in a line of text.
  public var description: String { "\(problem) at byte \(position + 1)" }
}
