/// The class of a character in the patterns that divide texts into words.
///
/// Classes are bits, so that a pattern's set, for example `[\p{L}\p{M}]`, is their union. Characters of Unicode versions
/// above 16 may have other classes than in programs that use older tables.
struct CharacterClass: OptionSet, Sendable {
  let rawValue: UInt8

  /// `[\p{Lu}\p{Lt}]`.
  static let uppercase = CharacterClass(rawValue: 1)
  /// `\p{Ll}`.
  static let lowercase = CharacterClass(rawValue: 2)
  /// `[\p{Lm}\p{Lo}]`.
  static let caseless = CharacterClass(rawValue: 4)
  /// `\p{M}`.
  static let mark = CharacterClass(rawValue: 8)
  /// `\p{N}`.
  static let number = CharacterClass(rawValue: 16)
  /// `\s`: the property White_Space.
  static let space = CharacterClass(rawValue: 32)
  /// None of the above, for example punctuation, or a byte that is not part of valid UTF-8.
  static let other: CharacterClass = []

  /// `\p{L}`.
  static let letter: CharacterClass = [.uppercase, .lowercase, .caseless]

  init(rawValue: UInt8) { self.rawValue = rawValue }

  init(_ scalar: Unicode.Scalar) {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .titlecaseLetter: self = .uppercase
    case .lowercaseLetter: self = .lowercase
    case .modifierLetter, .otherLetter: self = .caseless
    case .nonspacingMark, .spacingMark, .enclosingMark: self = .mark
    case .decimalNumber, .letterNumber, .otherNumber: self = .number
    default: self = scalar.properties.isWhitespace ? .space : .other
    }
  }

  /// The classes of the characters below U+10000, which texts consist of almost entirely.
  static let basicPlane: [CharacterClass] = (0..<0x10000).map { Unicode.Scalar($0).map(CharacterClass.init) ?? .other }
}
