/// A decimal number as text writes it, compared exactly: "1,234.50" and "+1234.5" are equal.
struct DecimalNumber: Equatable, Sendable {
  let isNegative: Bool
  /// Digits before the point without leading zeros.
  let whole: String
  /// Digits behind the point without trailing zeros.
  let fraction: String

  /// The number that a text gives as its result: the first one behind the last "####", where there is a "####"
  /// (GSM8K's form), else the last one of the text.
  static func result(of text: String) -> DecimalNumber? {
    let bytes = Array(text.utf8)
    let marker = Array("####".utf8)
    let start = (0..<max(0, bytes.count - 3)).last { bytes[$0...].starts(with: marker) }
    guard let start else { return numbers(in: bytes[...]).last }
    return numbers(in: bytes[(start + marker.count)...]).first
  }

  /// All numbers of a text: digits, with commas between groups of three, then a point and digits; a number may begin
  /// with its point. A sign belongs to a number where no digit, letter or closing bracket stands in front of the sign.
  static func numbers(in bytes: ArraySlice<UInt8>) -> [DecimalNumber] {
    var numbers: [DecimalNumber] = []
    var position = bytes.startIndex
    while position < bytes.endIndex {
      let startsWithPoint = bytes[position] == UInt8(ascii: ".") && isDigit(position + 1, of: bytes)
      guard isDigit(position, of: bytes) || startsWithPoint else {
        position += 1
        continue
      }
      let isNegative = isNegative(at: position, of: bytes)
      var whole = takeDigits(&position, of: bytes)
      if (1...3).contains(whole.count) {
        while let group = takeGroup(&position, of: bytes) { whole += group }
      }
      var fraction: [UInt8] = []
      if position < bytes.endIndex, bytes[position] == UInt8(ascii: "."), isDigit(position + 1, of: bytes) {
        position += 1
        fraction = takeDigits(&position, of: bytes)
      }
      numbers.append(DecimalNumber(isNegative: isNegative, whole: whole, fraction: fraction))
    }
    return numbers
  }

  private init(isNegative: Bool, whole: [UInt8], fraction: [UInt8]) {
    let zero = UInt8(ascii: "0")
    let wholeDigits = whole.drop { $0 == zero }
    let lastDigit = fraction.lastIndex { $0 != zero }
    self.whole = String(decoding: wholeDigits, as: UTF8.self)
    self.fraction = lastDigit.map { String(decoding: fraction[...$0], as: UTF8.self) } ?? ""
    self.isNegative = isNegative && !(self.whole.isEmpty && self.fraction.isEmpty)
  }

  private static func isDigit(_ position: Int, of bytes: ArraySlice<UInt8>) -> Bool {
    bytes.indices.contains(position) && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position])
  }

  private static func takeDigits(_ position: inout Int, of bytes: ArraySlice<UInt8>) -> [UInt8] {
    let start = position
    while isDigit(position, of: bytes) { position += 1 }
    return Array(bytes[start..<position])
  }

  /// A comma and exactly three digits.
  private static func takeGroup(_ position: inout Int, of bytes: ArraySlice<UInt8>) -> [UInt8]? {
    guard position < bytes.endIndex, bytes[position] == UInt8(ascii: ","),
      (1...3).allSatisfy({ isDigit(position + $0, of: bytes) }), !isDigit(position + 4, of: bytes)
    else { return nil }
    defer { position += 4 }
    return Array(bytes[(position + 1)...(position + 3)])
  }

  /// Whether "-" (or U+2212), with a dollar sign between it and the number or not, is the sign of the number.
  private static func isNegative(at position: Int, of bytes: ArraySlice<UInt8>) -> Bool {
    var before = bytes[..<position]
    if before.last == UInt8(ascii: "$") { before = before.dropLast() }
    if before.last == UInt8(ascii: "-") {
      before = before.dropLast()
    } else if before.suffix(3).elementsEqual([0xE2, 0x88, 0x92]) {
      before = before.dropLast(3)
    } else {
      return false
    }
    guard let byte = before.last else { return true }
    let character = Character(Unicode.Scalar(byte))
    return !(byte >= 0x80 || character.isLetter || character.isNumber || ")]}".contains(character))
  }
}
