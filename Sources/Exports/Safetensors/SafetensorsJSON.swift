/// A strict reader of the JSON that a safetensors header or a checkpoint's manifest may hold: objects, strings, arrays and
/// unsigned integers.
///
/// It works on untrusted bytes: it never recurses, never reads past the end, builds nothing larger than the text
/// itself, and stops at the first byte that the format does not allow. What callers do not ask for (nested values,
/// fractions, signs, exponents, `null`) is an error, so depth cannot hurt.
package struct SafetensorsJSON {
  /// The first byte that is not allowed, and why.
  package struct Fault: Error {
    package let position: Int
    package let problem: String
  }

  private let bytes: UnsafeRawBufferPointer
  /// The next byte to read.
  package private(set) var position = 0

  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package func fault(_ problem: String, at position: Int? = nil) -> Fault {
    Fault(position: position ?? self.position, problem: problem)
  }

  package mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  /// The next byte after white space, not consumed.
  package mutating func peek() throws(Fault) -> UInt8 {
    skipSpace()
    guard position < bytes.count else { throw fault("the text ends in the middle of a value") }
    return bytes[position]
  }

  package mutating func expect(_ character: Unicode.Scalar) throws(Fault) {
    guard try peek() == UInt8(ascii: character) else { throw fault("'\(character)' expected") }
    position += 1
  }

  /// Consumes the separator of a list that is open: true where another element follows, false where `end` closed it.
  package mutating func another(before end: Unicode.Scalar, isFirst: Bool) throws(Fault) -> Bool {
    let next = try peek()
    if next == UInt8(ascii: end) {
      position += 1
      return false
    }
    if isFirst { return true }
    guard next == UInt8(ascii: ",") else { throw fault("',' or '\(end)' expected") }
    position += 1
    return true
  }

  /// An unsigned integer below 2⁶³, without sign, fraction, exponent or leading zero.
  package mutating func integer() throws(Fault) -> Int {
    let start = try peek()
    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(start) else {
      throw fault("an unsigned integer expected")
    }
    let first = position
    var value = 0
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
      let (shifted, overflow1) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow2) = shifted.addingReportingOverflow(Int(bytes[position] - UInt8(ascii: "0")))
      guard !overflow1, !overflow2 else { throw fault("the integer does not fit 63 bits", at: first) }
      value = sum
      position += 1
    }
    if start == UInt8(ascii: "0"), position - first > 1 { throw fault("an integer starts with 0", at: first) }
    if position < bytes.count, [".", "e", "E"].contains(Unicode.Scalar(bytes[position])) {
      throw fault("an unsigned integer expected, not a fraction", at: first)
    }
    return value
  }

  /// A list of unsigned integers of at most `limit` elements.
  package mutating func integers(limit: Int) throws(Fault) -> [Int] {
    try expect("[")
    var values: [Int] = []
    while try another(before: "]", isFirst: values.isEmpty) {
      guard values.count < limit else { throw fault("more than \(limit) numbers in a list") }
      values.append(try integer())
    }
    return values
  }

  /// A string, unescaped; its bytes must be UTF-8 and its surrogates paired.
  package mutating func string() throws(Fault) -> String {
    guard try peek() == UInt8(ascii: "\"") else { throw fault("a string expected") }
    let first = position
    position += 1
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw fault("the string is not UTF-8", at: first)
        }
        return string
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw fault("a control character inside a string", at: position - 1)
      default: text.append(byte)
      }
    }
    throw fault("the string does not end", at: first)
  }

  private mutating func escape(into text: inout [UInt8]) throws(Fault) {
    guard position < bytes.count else { throw fault("the string does not end") }
    let kind = bytes[position]
    position += 1
    switch Unicode.Scalar(kind) {
    case "\"", "\\", "/": text.append(kind)
    case "b": text.append(0x08)
    case "f": text.append(0x0C)
    case "n": text.append(0x0A)
    case "r": text.append(0x0D)
    case "t": text.append(0x09)
    case "u":
      let first = position - 2
      var value = try hexadecimal()
      if (0xD800..<0xDC00).contains(value) {
        guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
          bytes[position + 1] == UInt8(ascii: "u")
        else { throw fault("half of a surrogate pair", at: first) }
        position += 2
        let low = try hexadecimal()
        guard (0xDC00..<0xE000).contains(low) else { throw fault("half of a surrogate pair", at: first) }
        value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(value) else { throw fault("half of a surrogate pair", at: first) }
      text.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw fault("an unknown escape", at: position - 2)
    }
  }

  private mutating func hexadecimal() throws(Fault) -> UInt32 {
    guard position + 4 <= bytes.count else { throw fault("the string does not end") }
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
        throw fault("four hexadecimal digits expected")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
