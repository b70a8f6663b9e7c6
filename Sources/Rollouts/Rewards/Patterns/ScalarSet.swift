/// A set of Unicode scalars, such as `.`, `\d` or `[a-z]`.
struct ScalarSet: Sendable {
  indirect enum Member: Sendable {
    case range(ClosedRange<UInt32>)
    case named(Name, isNegative: Bool)
    case category(String, isNegative: Bool)
    case set(ScalarSet)
  }

  /// The named sets.
  enum Name: String, CaseIterable, Sendable {
    case any, newline, digit, word, space, horizontalSpace
    // POSIX names besides digit, word and space.
    case alpha, alnum, upper, lower, punct, xdigit, blank, cntrl
  }

  var members: [Member]
  var isNegative = false
  var ignoresCase = false

  init(_ members: [Member], isNegative: Bool = false, ignoresCase: Bool = false) {
    self.members = members
    self.isNegative = isNegative
    self.ignoresCase = ignoresCase
  }

  init(_ scalar: Unicode.Scalar, ignoresCase: Bool) {
    self.init([.range(scalar.value...scalar.value)], ignoresCase: ignoresCase)
  }

  func contains(_ scalar: Unicode.Scalar) -> Bool {
    if !ignoresCase { return holds(scalar) != isNegative }
    let forms = [scalar] + Self.otherCases(of: scalar)
    return forms.contains(where: holds) != isNegative
  }

  private func holds(_ scalar: Unicode.Scalar) -> Bool {
    members.contains { member in
      switch member {
      case .range(let range): range.contains(scalar.value)
      case .named(let name, let isNegative): Self.holds(name, scalar) != isNegative
      case .category(let name, let isNegative):
        Self.abbreviation(scalar.properties.generalCategory).hasPrefix(name) != isNegative
      case .set(let set): set.contains(scalar)
      }
    }
  }

  /// Lower and upper case of a scalar, if each is one scalar.
  static func otherCases(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
    [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping].compactMap { text in
      text.unicodeScalars.count == 1 ? text.unicodeScalars.first : nil
    }
  }

  static func isWord(_ scalar: Unicode.Scalar) -> Bool { holds(.word, scalar) }

  static func isNewline(_ scalar: Unicode.Scalar) -> Bool { holds(.newline, scalar) }

  private static func holds(_ name: Name, _ scalar: Unicode.Scalar) -> Bool {
    let properties = scalar.properties
    switch name {
    case .any: return true
    case .newline: return (0x0A...0x0D).contains(scalar.value) || [0x85, 0x2028, 0x2029].contains(scalar.value)
    case .digit: return properties.numericType == .decimal
    case .word:
      return properties.isAlphabetic || properties.numericType == .decimal
        || ["Mn", "Mc", "Me", "Pc"].contains(abbreviation(properties.generalCategory))
    case .space: return properties.isWhitespace
    case .horizontalSpace: return scalar == "\t" || properties.generalCategory == .spaceSeparator
    case .alpha: return properties.isAlphabetic
    case .alnum: return properties.isAlphabetic || properties.numericType == .decimal
    case .upper: return properties.isUppercase
    case .lower: return properties.isLowercase
    case .punct: return abbreviation(properties.generalCategory).hasPrefix("P")
    case .xdigit: return properties.isASCIIHexDigit
    case .blank: return scalar == " " || scalar == "\t"
    case .cntrl: return properties.generalCategory == .control
    }
  }

  /// The two-letter name of a general category in Unicode.
  private static func abbreviation(_ category: Unicode.GeneralCategory) -> String {
    switch category {
    case .uppercaseLetter: "Lu"
    case .lowercaseLetter: "Ll"
    case .titlecaseLetter: "Lt"
    case .modifierLetter: "Lm"
    case .otherLetter: "Lo"
    case .nonspacingMark: "Mn"
    case .spacingMark: "Mc"
    case .enclosingMark: "Me"
    case .decimalNumber: "Nd"
    case .letterNumber: "Nl"
    case .otherNumber: "No"
    case .connectorPunctuation: "Pc"
    case .dashPunctuation: "Pd"
    case .openPunctuation: "Ps"
    case .closePunctuation: "Pe"
    case .initialPunctuation: "Pi"
    case .finalPunctuation: "Pf"
    case .otherPunctuation: "Po"
    case .mathSymbol: "Sm"
    case .currencySymbol: "Sc"
    case .modifierSymbol: "Sk"
    case .otherSymbol: "So"
    case .spaceSeparator: "Zs"
    case .lineSeparator: "Zl"
    case .paragraphSeparator: "Zp"
    case .control: "Cc"
    case .format: "Cf"
    case .surrogate: "Cs"
    case .privateUse: "Co"
    case .unassigned: "Cn"
    @unknown default: "Cn"
    }
  }
}
