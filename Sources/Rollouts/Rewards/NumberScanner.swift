/// Finds the numbers of a text.
///
///     number    = [sign] [currency] (mixed | fraction | decimal)
///     decimal   = whole ["." digits] [exponent] | "." digits [exponent]
///     whole     = digits | 1–3 digits, then one separator throughout, each before exactly three digits
///     separator = "," | space (also no-break, thin) | "'" | "’" | "_" | "{,}" | "\," | ",\!" | "." (two or more of them)
///     exponent  = ("e" | "E") [sign] digits | ("×" | "·" | "*" | "\times" | "\cdot") "10^" integer
///     fraction  = whole "/" digits | ("\frac" | "\dfrac" | "\tfrac" | "\cfrac") integer integer
///     mixed     = whole " " digits "/" digits, a proper fraction | whole "\frac" …
///
/// Commas also group as in India (1,00,000); elsewhere a comma separates numbers, and it is never a decimal sign. A
/// sign belongs to a number unless a digit, letter or closing bracket precedes it. A run of digits that continues in
/// any other way (1.2.3, 1/2/3, 2^10, 5², 2½, 0x1F, 1/0) has no value; no part of it is read.
struct NumberScanner {
  /// A part of the text that looks like a number.
  struct Run {
    /// Nil if it cannot be read.
    let value: DecimalNumber?
  }

  private let bytes: ArraySlice<UInt8>
  private var position: Int

  private init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  static func runs(in bytes: ArraySlice<UInt8>) -> [Run] {
    var scanner = NumberScanner(bytes)
    var runs: [Run] = []
    while scanner.position < bytes.endIndex {
      if scanner.isDigit(scanner.position) || (scanner.has(".") && scanner.isDigit(scanner.position + 1)) {
        runs.append(Run(value: scanner.takeNumber()))
      } else if let name = scanner.fractionName {
        let isNegative = scanner.isNegative(at: scanner.position)
        scanner.position += name
        runs.append(Run(value: scanner.takeFractionArguments(isNegative, whole: [])))
      } else {
        scanner.position += 1
      }
    }
    return runs
  }

  /// The index of the brace that closes the one at `start`, at most `limit` bytes after it.
  static func closingBrace(of start: Int, in bytes: ArraySlice<UInt8>, limit: Int = .max) -> Int? {
    var depth = 0
    for index in start..<(bytes.endIndex - start > limit ? start + limit : bytes.endIndex) {
      if bytes[index] == UInt8(ascii: "{") { depth += 1 }
      if bytes[index] == UInt8(ascii: "}") { depth -= 1 }
      if depth == 0 { return index }
    }
    return nil
  }

  // MARK: Numbers

  private mutating func takeNumber() -> DecimalNumber? {
    let isNegative = isNegative(at: position)
    if has("0x") || has("0X"), isHexadecimal(position + 2) {
      position += 2
      while isHexadecimal(position) { position += 1 }
      return nil
    }
    let whole = takeWhole()
    var fraction: [UInt8] = []
    if has("."), isDigit(position + 1) {
      position += 1
      fraction = takeDigits()
    }
    if fraction.isEmpty, !whole.isEmpty, let value = takeRest(ofWhole: whole, isNegative) { return value.value }
    let exponent = takeExponent()
    if skipContinuation() { return nil }
    guard let exponent else { return nil }
    return DecimalNumber(isNegative: isNegative, whole: whole, fraction: fraction, power: exponent)
  }

  /// The continuations of a whole number only: a fraction, a mixed number, a power of ten. Nil if there is none.
  private mutating func takeRest(ofWhole whole: [UInt8], _ isNegative: Bool) -> Run? {
    let start = position
    if has("/"), isDigit(position + 1) {
      position += 1
      let denominator = takeDigits()
      if skipContinuation() { return Run(value: nil) }
      return Run(value: DecimalNumber(isNegative: isNegative, numerator: whole, denominator: denominator))
    }
    if has(" "), isDigit(position + 1) {
      position += 1
      let numerator = takeDigits()
      if has("/"), isDigit(position + 1) {
        position += 1
        let denominator = takeDigits()
        let part = DecimalNumber(isNegative: false, numerator: numerator, denominator: denominator)
        if part != nil, Self.isLess(numerator, denominator), !skipContinuation() {
          return Run(
            value: DecimalNumber(
              isNegative: isNegative, whole: whole, numerator: numerator, denominator: denominator))
        }
      }
      position = start
    }
    if let name = fractionName {
      position += name
      return Run(value: takeFractionArguments(isNegative, whole: whole))
    }
    if whole == Array("10".utf8), let power = takePower() {
      if skipContinuation() { return Run(value: nil) }
      return Run(value: DecimalNumber(isNegative: isNegative, whole: [UInt8(ascii: "1")], power: power))
    }
    return nil
  }

  /// Digits, with separators between groups.
  private mutating func takeWhole() -> [UInt8] {
    let start = position
    var digits = takeDigits()
    guard (1...3).contains(digits.count) else { return digits }
    if digits.count < 3, let grouped = takeIndianGroups(digits) { return grouped }
    if let dotted = takeGroups(".", atLeast: 2) { return digits + dotted }
    for separator in Self.separators {
      // "0 100" are two numbers.
      if separator == " ", bytes[start] == UInt8(ascii: "0") { continue }
      if let groups = takeGroups(separator, atLeast: 1) {
        digits += groups
        break
      }
    }
    return digits
  }

  private static let separators = [",", " ", "\u{A0}", "\u{2009}", "\u{202F}", "'", "’", "_", "{,}", "\\,", ",\\!"]

  /// Groups of exactly three digits, each after the separator.
  private mutating func takeGroups(_ separator: String, atLeast minimum: Int) -> [UInt8]? {
    let start = position
    let width = separator.utf8.count
    var digits: [UInt8] = []
    while has(separator), (0..<3).allSatisfy({ isDigit(position + width + $0) }), !isDigit(position + width + 3) {
      position += width
      digits += takeDigits()
    }
    if digits.count >= 3 * minimum { return digits }
    position = start
    return nil
  }

  /// Groups of two digits and a last one of three.
  private mutating func takeIndianGroups(_ first: [UInt8]) -> [UInt8]? {
    let start = position
    var digits = first
    while has(","), isDigit(position + 1), isDigit(position + 2), !isDigit(position + 3) {
      position += 1
      digits += takeDigits()
    }
    if position > start, has(","), (1...3).allSatisfy({ isDigit(position + $0) }), !isDigit(position + 4) {
      position += 1
      return digits + takeDigits()
    }
    position = start
    return nil
  }

  /// 0 if there is no exponent; nil if it is too large to be read.
  private mutating func takeExponent() -> Int? {
    let start = position
    if has("e") || has("E") {
      position += 1
      if let power = takeInteger() { return power.count <= 10 ? Int(String(decoding: power, as: UTF8.self)) : nil }
      position = start
      return 0
    }
    while has(" ") { position += 1 }
    let sign = ["×", "·", "*", "\\times", "\\cdot"].first { has($0) }
    if let sign, !has("**") {
      position += sign.utf8.count
      while has(" ") { position += 1 }
      if has("10"), !isDigit(position + 2) {
        position += 2
        if let power = takePower() { return power }
      }
    }
    position = start
    return 0
  }

  /// `^` and an integer, in braces or not; nil, and nothing taken, if there is none.
  private mutating func takePower() -> Int? {
    let start = position
    if let sign = ["^", "**"].first(where: { has($0) }) {
      position += sign.utf8.count
      let isBraced = has("{")
      if isBraced { position += 1 }
      if let power = takeInteger(), power.count <= 10, let value = Int(String(decoding: power, as: UTF8.self)) {
        if !isBraced { return value }
        if has("}") {
          position += 1
          return value
        }
      }
    }
    position = start
    return nil
  }

  /// The two arguments of `\frac`: integers in braces, or single digits.
  private mutating func takeFractionArguments(_ isNegative: Bool, whole: [UInt8]) -> DecimalNumber? {
    var isNegative = isNegative
    var parts: [[UInt8]] = []
    var isReadable = true
    for _ in 0..<2 {
      while has(" ") { position += 1 }
      if has("{"), let end = Self.closingBrace(of: position, in: bytes, limit: 256) {
        var inner = NumberScanner(bytes[(position + 1)..<end])
        while inner.has(" ") { inner.position += 1 }
        let number = inner.takeInteger() ?? []
        while inner.has(" ") { inner.position += 1 }
        if number.isEmpty || inner.position < end { isReadable = false }
        if number.first == UInt8(ascii: "-") { isNegative.toggle() }
        parts.append(number.filter { $0 != UInt8(ascii: "-") })
        position = end + 1
      } else if isDigit(position) {
        parts.append([bytes[position]])
        position += 1
      } else {
        return nil
      }
    }
    if skipContinuation() || !isReadable { return nil }
    return DecimalNumber(isNegative: isNegative, whole: whole, numerator: parts[0], denominator: parts[1])
  }

  /// Skips characters after a run that make it something other than a number of the grammar.
  private mutating func skipContinuation() -> Bool {
    let start = position
    while true {
      if ["^", "**"].contains(where: { has($0) }) {
        position += has("^") ? 1 : 2
        if has("{"), let end = Self.closingBrace(of: position, in: bytes, limit: 256) {
          position = end + 1
        } else {
          _ = takeInteger()
        }
      } else if let mark = Self.marks.first(where: { has($0) }) {
        position += mark.utf8.count
      } else if has(".") || has("/"), isDigit(position + 1) {
        position += 1
        _ = takeDigits()
      } else if isDigit(position) {
        _ = takeDigits()
      } else {
        return position > start
      }
    }
  }

  /// Superscripts, and fractions in one character.
  private static let marks = "²³¹⁰⁴⁵⁶⁷⁸⁹⁻½¼¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞".map(String.init)

  // MARK: Bytes

  private var fractionName: Int? {
    ["\\frac", "\\dfrac", "\\tfrac", "\\cfrac"].first { has($0) }?.utf8.count
  }

  private func has(_ text: String) -> Bool { bytes[position...].starts(with: text.utf8) }

  private func isDigit(_ index: Int) -> Bool {
    bytes.indices.contains(index) && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index])
  }

  private func isHexadecimal(_ index: Int) -> Bool {
    bytes.indices.contains(index) && Character(Unicode.Scalar(bytes[index])).hexDigitValue != nil
  }

  private mutating func takeDigits() -> [UInt8] {
    let start = position
    while isDigit(position) { position += 1 }
    return Array(bytes[start..<position])
  }

  /// A sign and digits, without a plus; nil, and nothing taken, if there are no digits.
  private mutating func takeInteger() -> [UInt8]? {
    let start = position
    let minus = ["-", "−"].first { has($0) }
    position += minus?.utf8.count ?? (has("+") ? 1 : 0)
    let digits = takeDigits()
    guard !digits.isEmpty else {
      position = start
      return nil
    }
    return minus == nil ? digits : [UInt8(ascii: "-")] + digits
  }

  private static func isLess(_ first: [UInt8], _ second: [UInt8]) -> Bool {
    let zero = UInt8(ascii: "0")
    let (first, second) = (first.drop { $0 == zero }, second.drop { $0 == zero })
    return first.count != second.count ? first.count < second.count : first.lexicographicallyPrecedes(second)
  }

  /// Whether a minus before the number, with or without a currency sign between, is its sign.
  private func isNegative(at index: Int) -> Bool {
    var before = bytes[..<index]
    for currency in ["\\$", "$", "€", "£", "¥"] where before.suffix(currency.utf8.count).elementsEqual(currency.utf8) {
      before = before.dropLast(currency.utf8.count)
      break
    }
    guard let minus = ["-", "−"].first(where: { before.suffix($0.utf8.count).elementsEqual($0.utf8) }) else {
      return false
    }
    guard let byte = before.dropLast(minus.utf8.count).last else { return true }
    let character = Character(Unicode.Scalar(byte))
    return !(byte >= 0x80 || character.isLetter || character.isNumber || ")]}".contains(character))
  }
}
