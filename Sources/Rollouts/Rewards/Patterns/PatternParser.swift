/// Parses a pattern; `Pattern` documents the syntax.
///
/// Invariant: `position` never passes `scalars.count`, and `depth` bounds the recursion.
struct PatternParser {
  /// The maximum nesting of groups.
  static let maximumDepth = 100
  /// The maximum count of a repetition.
  static let maximumCount = 1000

  private struct Flags {
    var ignoresCase = false
    var dotMatchesNewlines = false
    var anchorsMatchLines = false
    var isExtended = false
  }

  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var depth = 0
  private var flags = Flags()
  private(set) var captureCount = 0
  private var names: [String: Int] = [:]
  /// The largest group number that a backreference names.
  private var largestReference = (group: 0, character: 0)

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  mutating func parse() throws(PatternError) -> PatternNode {
    let node = try parseAlternatives()
    if position < scalars.count { throw fault("a ')' without its '('") }
    if largestReference.group > captureCount {
      throw PatternError(
        problem: "a reference to group \(largestReference.group), which does not exist",
        character: largestReference.character)
    }
    return node
  }

  private mutating func parseAlternatives() throws(PatternError) -> PatternNode {
    let outer = flags
    var alternatives: [PatternNode] = []
    while true {
      alternatives.append(try parseSequence())
      if !take("|") { break }
    }
    flags = outer
    return alternatives.count == 1 ? alternatives[0] : .alternatives(alternatives)
  }

  private mutating func parseSequence() throws(PatternError) -> PatternNode {
    var parts: [PatternNode] = []
    while let next = peek(), next != "|", next != ")" {
      if flags.isExtended, skipExtendedSpace() { continue }
      if takeText("\\Q") {
        while position < scalars.count, !takeText("\\E") { parts.append(.scalar(literal(advance()))) }
        continue
      }
      let start = position
      let atom = try parseAtom()
      guard let atom else { continue }
      parts.append(try parseQuantifier(atom, start: start))
    }
    return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
  }

  private mutating func skipExtendedSpace() -> Bool {
    guard let next = peek() else { return false }
    if next == "#" {
      while let next = peek(), next != "\n" {
        _ = next
        position += 1
      }
      return true
    }
    guard next.properties.isPatternWhitespace else { return false }
    position += 1
    return true
  }

  /// Nil for a comment or a change of flags.
  private mutating func parseAtom() throws(PatternError) -> PatternNode? {
    let scalar = advance()
    switch scalar {
    case "(": return try parseGroup()
    case "[": return .scalar(try parseClass())
    case ".":
      return .scalar(
        ScalarSet([.named(flags.dotMatchesNewlines ? .any : .newline, isNegative: !flags.dotMatchesNewlines)]))
    case "^": return .assertion(flags.anchorsMatchLines ? .lineStart : .textStart)
    case "$": return .assertion(flags.anchorsMatchLines ? .lineEnd : .textEnd)
    case "*", "+", "?":
      position -= 1
      throw fault("'\(scalar)' has nothing to repeat")
    case "\\": return try parseEscape()
    default: return .scalar(literal(scalar))
    }
  }

  private func literal(_ scalar: Unicode.Scalar) -> ScalarSet {
    ScalarSet(scalar, ignoresCase: flags.ignoresCase)
  }

  // MARK: Groups

  private mutating func parseGroup() throws(PatternError) -> PatternNode? {
    depth += 1
    defer { depth -= 1 }
    if depth > Self.maximumDepth { throw fault("more than \(Self.maximumDepth) nested groups") }
    guard take("?") else {
      captureCount += 1
      let number = captureCount
      return .capture(number, try parseBody())
    }
    if takeText("#") {
      while let next = peek(), next != ")" {
        _ = next
        position += 1
      }
      try close()
      return nil
    }
    if take(":") { return try parseBody() }
    if take("=") { return .lookahead(try parseBody(), isNegative: false) }
    if take("!") { return .lookahead(try parseBody(), isNegative: true) }
    if take(">") { return .atomic(try parseBody()) }
    if takeText("<=") || takeText("<!") { throw fault("a lookbehind is not supported") }
    if takeText("P<") || take("<") {
      var name = ""
      while let next = peek(), ScalarSet.isWord(next) {
        name.unicodeScalars.append(next)
        position += 1
      }
      guard !name.isEmpty, take(">") else { throw fault("the name of a group needs letters or digits, then '>'") }
      guard names[name] == nil else { throw fault("two groups have the name '\(name)'") }
      captureCount += 1
      names[name] = captureCount
      let number = captureCount
      return .capture(number, try parseBody())
    }
    return try parseFlags()
  }

  private mutating func parseBody() throws(PatternError) -> PatternNode {
    let node = try parseAlternatives()
    try close()
    return node
  }

  private mutating func close() throws(PatternError) {
    if !take(")") { throw fault("a '(' is not closed") }
  }

  /// `(?i)` applies to the end of the enclosing group, `(?i:…)` to its own group.
  private mutating func parseFlags() throws(PatternError) -> PatternNode? {
    let outer = flags
    var isOn = true
    while let next = peek(), next != ")", next != ":" {
      position += 1
      switch next {
      case "-": isOn = false
      case "i": flags.ignoresCase = isOn
      case "s": flags.dotMatchesNewlines = isOn
      case "m": flags.anchorsMatchLines = isOn
      case "x": flags.isExtended = isOn
      default:
        position -= 1
        throw fault("'(?\(next)' is not supported")
      }
    }
    if take(")") { return nil }
    guard take(":") else { throw fault("a '(' is not closed") }
    let node = try parseBody()
    flags = outer
    return node
  }

  // MARK: Repetition

  private mutating func parseQuantifier(_ atom: PatternNode, start: Int) throws(PatternError) -> PatternNode {
    if flags.isExtended { while skipExtendedSpace() {} }
    var counts: (minimum: Int, maximum: Int?)?
    if take("*") {
      counts = (0, nil)
    } else if take("+") {
      counts = (1, nil)
    } else if take("?") {
      counts = (0, 1)
    } else {
      counts = try parseCounts()
    }
    guard let counts else { return atom }
    if case .assertion = atom {
      position = start
      throw fault("an anchor cannot be repeated")
    }
    let kind: PatternNode.RepetitionKind = take("?") ? .lazy : take("+") ? .possessive : .greedy
    if let next = peek(), ["*", "+", "?"].contains(next) { throw fault("'\(next)' has nothing to repeat") }
    return .repetition(atom, minimum: counts.minimum, maximum: counts.maximum, kind: kind)
  }

  /// `{n}`, `{n,}`, `{,m}` or `{n,m}`; nil, and nothing taken, if the brace is a character.
  private mutating func parseCounts() throws(PatternError) -> (Int, Int?)? {
    let start = position
    guard take("{") else { return nil }
    let minimum = try takeCount()
    let hasComma = take(",")
    let maximum = hasComma ? try takeCount() : minimum
    guard take("}"), minimum != nil || maximum != nil else {
      position = start
      return nil
    }
    if let minimum, let maximum, minimum > maximum {
      position = start
      throw fault("a repetition of at least \(minimum) and at most \(maximum)")
    }
    return (minimum ?? 0, maximum)
  }

  private mutating func takeCount() throws(PatternError) -> Int? {
    var digits = ""
    while let next = peek(), ("0"..."9").contains(next) {
      digits.unicodeScalars.append(next)
      position += 1
    }
    if digits.isEmpty { return nil }
    guard let count = Int(digits), count <= Self.maximumCount else {
      throw fault("a repetition of more than \(Self.maximumCount)")
    }
    return count
  }

  // MARK: Escapes

  private mutating func parseEscape() throws(PatternError) -> PatternNode {
    guard let next = peek() else { throw fault("the pattern ends with '\\'") }
    switch next {
    case "b": return taken(.assertion(.wordBoundary))
    case "B": return taken(.assertion(.noWordBoundary))
    case "A": return taken(.assertion(.textStart))
    case "z": return taken(.assertion(.textEnd))
    case "Z": return taken(.assertion(.textEndBeforeNewline))
    case "R":
      let pair = PatternNode.sequence([.scalar(literal("\r")), .scalar(literal("\n"))])
      return taken(.alternatives([pair, .scalar(ScalarSet([.named(.newline, isNegative: false)]))]))
    case "1"..."9":
      let character = position + 1
      let group = try takeCount() ?? 0
      if group > largestReference.group { largestReference = (group, character) }
      return .backreference(group, ignoresCase: flags.ignoresCase)
    case "k":
      position += 1
      guard take("<") else { throw fault("'\\k' needs '<name>'") }
      var name = ""
      while let next = peek(), next != ">" {
        name.unicodeScalars.append(next)
        position += 1
      }
      guard take(">"), let group = names[name] else {
        throw fault("a reference to group '\(name)', which is not defined before it")
      }
      return .backreference(group, ignoresCase: flags.ignoresCase)
    default:
      var set = ScalarSet([try parseEscapedMember()])
      set.ignoresCase = flags.ignoresCase
      return .scalar(set)
    }
  }

  private mutating func taken(_ node: PatternNode) -> PatternNode {
    position += 1
    return node
  }

  /// The set that `\` and the next characters stand for, inside or outside a class.
  private mutating func parseEscapedMember() throws(PatternError) -> ScalarSet.Member {
    guard let next = peek() else { throw fault("the pattern ends with '\\'") }
    position += 1
    func single(_ scalar: Unicode.Scalar) -> ScalarSet.Member { .range(scalar.value...scalar.value) }
    switch next {
    case "d", "D": return .named(.digit, isNegative: next == "D")
    case "w", "W": return .named(.word, isNegative: next == "W")
    case "s", "S": return .named(.space, isNegative: next == "S")
    case "h", "H": return .named(.horizontalSpace, isNegative: next == "H")
    case "v", "V": return .named(.newline, isNegative: next == "V")
    case "N": return .named(.newline, isNegative: true)
    case "n": return single("\n")
    case "r": return single("\r")
    case "t": return single("\t")
    case "f": return single("\u{C}")
    case "a": return single("\u{7}")
    case "e": return single("\u{1B}")
    case "0": return single("\0")
    case "x": return single(try takeHexadecimal(digits: 2))
    case "u": return single(try takeHexadecimal(digits: 4))
    case "U": return single(try takeHexadecimal(digits: 8))
    case "p", "P": return try parseCategory(isNegative: next == "P")
    default:
      guard !next.properties.isAlphabetic, next.properties.numericType == nil else {
        position -= 1
        throw fault("'\\\(next)' is not supported")
      }
      return single(next)
    }
  }

  private mutating func takeHexadecimal(digits count: Int) throws(PatternError) -> Unicode.Scalar {
    let isBraced = take("{")
    var digits = ""
    while let next = peek(), next.properties.isASCIIHexDigit, digits.count < (isBraced ? 8 : count) {
      digits.unicodeScalars.append(next)
      position += 1
    }
    guard isBraced ? take("}") : digits.count == count, let value = UInt32(digits, radix: 16),
      let scalar = Unicode.Scalar(value)
    else { throw fault("a character's number needs \(count) hexadecimal digits, or digits in braces") }
    return scalar
  }

  /// `\p{L}`, `\p{Lu}`: a general category of Unicode.
  private mutating func parseCategory(isNegative: Bool) throws(PatternError) -> ScalarSet.Member {
    var name = ""
    if take("{") {
      while let next = peek(), next != "}" {
        name.unicodeScalars.append(next)
        position += 1
      }
      guard take("}") else { throw fault("a '{' is not closed") }
    } else if let next = peek() {
      name.unicodeScalars.append(next)
      position += 1
    }
    let known = [
      "L": "ultmo", "M": "nce", "N": "dlo", "P": "cdseifo", "S": "mcko", "Z": "slp", "C": "cfson",
    ]
    guard let first = name.first, let seconds = known[String(first)], name.count <= 2,
      name.dropFirst().allSatisfy(seconds.contains)
    else { throw fault("'\(name)' is not a general category of Unicode") }
    return .category(name, isNegative: isNegative)
  }

  // MARK: Classes

  private mutating func parseClass() throws(PatternError) -> ScalarSet {
    depth += 1
    defer { depth -= 1 }
    if depth > Self.maximumDepth { throw fault("more than \(Self.maximumDepth) nested classes") }
    var set = ScalarSet([], isNegative: take("^"), ignoresCase: flags.ignoresCase)
    var isFirst = true
    while true {
      guard let next = peek() else { throw fault("a '[' is not closed") }
      if next == "]", !isFirst { break }
      isFirst = false
      if ["&&", "--", "~~"].contains(where: { has($0) }) { throw fault("operations on classes are not supported") }
      if takeText("[:") {
        set.members.append(try parsePOSIXName())
      } else if take("[") {
        set.members.append(.set(try parseClass()))
      } else {
        set.members.append(try parseRange())
      }
    }
    position += 1
    return set
  }

  private mutating func parsePOSIXName() throws(PatternError) -> ScalarSet.Member {
    let isNegative = take("^")
    var name = ""
    while let next = peek(), next != ":" {
      name.unicodeScalars.append(next)
      position += 1
    }
    guard takeText(":]"), let known = ScalarSet.Name(rawValue: name), ![.any, .newline].contains(known) else {
      throw fault("'[:\(name):]' is not a class")
    }
    return .named(known, isNegative: isNegative)
  }

  private mutating func parseRange() throws(PatternError) -> ScalarSet.Member {
    let first = try parseMember()
    guard has("-"), position + 1 < scalars.count, scalars[position + 1] != "]", scalars[position + 1] != "[",
      case .range(let lower) = first
    else { return first }
    position += 1
    guard case .range(let upper) = try parseMember(), lower.lowerBound <= upper.upperBound else {
      throw fault("a range in a class goes from a lower to a higher character")
    }
    return .range(lower.lowerBound...upper.upperBound)
  }

  private mutating func parseMember() throws(PatternError) -> ScalarSet.Member {
    let scalar = advance()
    if scalar == "\\" {
      if take("b") { return .range(8...8) }
      return try parseEscapedMember()
    }
    return .range(scalar.value...scalar.value)
  }

  // MARK: Characters

  private func peek() -> Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private mutating func advance() -> Unicode.Scalar {
    defer { position += 1 }
    return scalars[position]
  }

  private func has(_ text: String) -> Bool { scalars[position...].starts(with: text.unicodeScalars) }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard peek() == scalar else { return false }
    position += 1
    return true
  }

  private mutating func takeText(_ text: String) -> Bool {
    guard has(text) else { return false }
    position += text.unicodeScalars.count
    return true
  }

  private func fault(_ problem: String) -> PatternError { PatternError(problem: problem, character: position + 1) }
}
