/// A number in a text, compared by its exact value: "1,234.50" and "+1234.5" are equal, and so are "1/2" and "0.5".
/// `NumberScanner` has the grammar.
struct DecimalNumber: Equatable, Sendable {
  let isNegative: Bool
  /// The digits without zeros at either end; empty: zero.
  let digits: String
  /// The value is ± digits · 10^exponent / denominator.
  let exponent: Int
  /// 1, or the denominator of a reduced fraction that no decimal equals: it has a prime factor other than 2 and 5.
  let denominator: UInt64

  /// The result of a text: the first number after the last `####` (GSM8K's form), else the last number in the last
  /// `\boxed{…}`, else the last number of the text. Nil if there is none, or it cannot be read.
  static func result(of text: String) -> DecimalNumber? {
    let bytes = Array(text.utf8)
    if let start = end(of: "####", in: bytes) { return NumberScanner.runs(in: bytes[start...]).first?.value }
    if let box = ["\\boxed", "\\fbox"].compactMap({ end(of: $0, in: bytes) }).max() {
      guard bytes[box...].first == UInt8(ascii: "{") else {
        return NumberScanner.runs(in: bytes[box...]).first?.value
      }
      let close = NumberScanner.closingBrace(of: box, in: bytes[...]) ?? bytes.endIndex
      return NumberScanner.runs(in: bytes[(box + 1)..<close]).last?.value
    }
    return NumberScanner.runs(in: bytes[...]).last?.value
  }

  /// The index after the last occurrence.
  private static func end(of marker: String, in bytes: [UInt8]) -> Int? {
    let marker = Array(marker.utf8)
    guard bytes.count >= marker.count else { return nil }
    let start = (0...(bytes.count - marker.count)).last { bytes[$0...].starts(with: marker) }
    return start.map { $0 + marker.count }
  }

  private init(isNegative: Bool, digits: String, exponent: Int, denominator: UInt64) {
    self.isNegative = isNegative
    self.digits = digits
    self.exponent = exponent
    self.denominator = denominator
  }

  /// ± whole.fraction · 10^power, of digits in ASCII.
  init(isNegative: Bool, whole: [UInt8], fraction: [UInt8] = [], power: Int = 0) {
    let zero = UInt8(ascii: "0")
    var kept = (whole + fraction).drop { $0 == zero }
    var exponent = power - fraction.count
    while kept.last == zero {
      kept.removeLast()
      exponent += 1
    }
    self.init(
      isNegative: isNegative && !kept.isEmpty, digits: String(decoding: kept, as: UTF8.self),
      exponent: kept.isEmpty ? 0 : exponent, denominator: 1)
  }

  /// ± (whole + numerator / denominator); nil if the denominator is 0 or the fraction has more than 18 digits.
  init?(isNegative: Bool, whole: [UInt8] = [], numerator: [UInt8], denominator: [UInt8]) {
    func number(_ digits: [UInt8]) -> UInt64? {
      digits.isEmpty ? 0 : digits.count <= 18 ? UInt64(String(decoding: digits, as: UTF8.self)) : nil
    }
    guard let whole = number(whole), let part = number(numerator), let all = number(denominator), all > 0 else {
      return nil
    }
    let (product, isTooLarge) = whole.multipliedReportingOverflow(by: all)
    guard !isTooLarge, product <= UInt64(Int64.max) - part else { return nil }
    var (over, under) = (product + part, all)
    let divisor = Self.greatestCommonDivisor(over, under)
    (over, under) = (over / divisor, under / divisor)
    var rest = under
    for prime in [2, 5] as [UInt64] { while rest.isMultiple(of: prime) { rest /= prime } }
    guard rest == 1 else {
      self = DecimalNumber(isNegative: isNegative, digits: String(over), exponent: 0, denominator: under)
      return
    }
    var (quotient, remainder) = over.quotientAndRemainder(dividingBy: under)
    let before = Array(String(quotient).utf8)
    var after: [UInt8] = []
    while remainder > 0 {
      (quotient, remainder) = (remainder * 10).quotientAndRemainder(dividingBy: under)
      after.append(UInt8(ascii: "0") + UInt8(quotient))
    }
    self.init(isNegative: isNegative, whole: before, fraction: after)
  }

  private static func greatestCommonDivisor(_ first: UInt64, _ second: UInt64) -> UInt64 {
    var (first, second) = (first, second)
    while second > 0 { (first, second) = (second, first % second) }
    return first
  }
}
