extension JSONScanner {
  private static let maximumDepth = 256

  /// Any value; `depth` counts the lists and objects around it.
  package mutating func value(_ reading: JSONValue.Reading, depth: Int = 0) throws(JSONSyntaxError) -> JSONValue {
    if depth > Self.maximumDepth { throw fault("more than \(Self.maximumDepth) nested levels") }
    skipSpace()
    guard let byte = next else { throw fault("expected a value, found the end") }
    switch Unicode.Scalar(byte) {
    case "{": return try object(reading, depth: depth)
    case "[": return try list(reading, depth: depth)
    case "\"": return .text(try string())
    case "t": return try word("true", as: .bool(true))
    case "f": return try word("false", as: .bool(false))
    case "n": return try word("null", as: .null)
    case "N" where reading.contains(.nonFiniteNumbers): return try word("NaN", as: .number(.nan))
    case "I" where reading.contains(.nonFiniteNumbers): return try word("Infinity", as: .number(.infinity))
    case "-", "0"..."9": return try number(reading)
    default: throw fault("expected a value, found \(found)")
    }
  }

  private mutating func object(_ reading: JSONValue.Reading, depth: Int) throws(JSONSyntaxError) -> JSONValue {
    try expect("{")
    var members: [String: JSONValue] = [:]
    while try another(before: "}", isFirst: members.isEmpty) {
      let start = position
      let key = try self.key()
      if members[key] != nil { throw fault("key '\(key)' appears twice", at: start) }
      members[key] = try value(reading, depth: depth + 1)
    }
    return .object(members)
  }

  private mutating func list(_ reading: JSONValue.Reading, depth: Int) throws(JSONSyntaxError) -> JSONValue {
    try expect("[")
    var elements: [JSONValue] = []
    while try another(before: "]", isFirst: elements.isEmpty) {
      elements.append(try value(reading, depth: depth + 1))
    }
    return .list(elements)
  }

  private mutating func number(_ reading: JSONValue.Reading) throws(JSONSyntaxError) -> JSONValue {
    let start = position
    if take("-"), reading.contains(.nonFiniteNumbers), next == UInt8(ascii: "I") {
      return try word("Infinity", as: .number(-.infinity))
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
    // Python, which most reward programs are written in, has no largest integer.
    if isExact, isWhole { return .literal(text) }
    guard let number = Double(text), number.isFinite || reading.contains(.nonFiniteNumbers) else {
      throw fault("the number \(text.prefix(40)) is out of range", at: start)
    }
    return isExact && text != "\(number)" ? .literal(text) : .number(number)
  }

  private mutating func skipDigits() throws(JSONSyntaxError) {
    let start = position
    while let byte = next, Self.isDigit(byte) { position += 1 }
    if position == start { throw fault("expected a digit, found \(found)") }
  }

  private mutating func word(_ word: StaticString, as value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
    let text = "\(word)".utf8
    if !bytes[position...].starts(with: text) { throw fault("expected \(word), found \(found)") }
    position += text.count
    return value
  }
}
