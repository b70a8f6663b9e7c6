/// A regular expression with bounded work. The bound counts steps, not seconds, so the result is the same on every
/// machine and rank.
///
/// | syntax | meaning |
/// |---|---|
/// | `.` `\d` `\w` `\s` `\h` `\v` `\N` `\R` (`\D` … not) | any but a line break, digit, letter or digit or `_`, space, space in a line, line break, no line break, line break or CR LF |
/// | `[a-z_]` `[^…]` `[[:alpha:]]` `\p{L}` `\p{Lu}` `\P{…}` | classes, POSIX names, general categories of Unicode |
/// | `^` `$` `\A` `\z` `\Z` `\b` `\B` | the text's ends (with `(?m)` those of lines), the end before a last line break, word bounds |
/// | `*` `+` `?` `{n}` `{n,}` `{n,m}`; `…?` `…+` | repetition; as little as possible, and without going back |
/// | `(…)` `(?:…)` `(?<name>…)` `(?>…)` `a\|b` | groups, groups without going back, alternatives |
/// | `(?=…)` `(?!…)` `\1` `\k<name>` | what follows, what does not follow, what a group matched |
/// | `(?i)` `(?s)` `(?m)` `(?x)`, also `(?i:…)` | upper and lower case alike, `.` takes line breaks, anchors of lines, spaces and comments in the pattern |
/// | `\n` `\r` `\t` `\f` `\a` `\e` `\0` `\xHH` `\x{H}` `\uHHHH` `\Q…\E` | characters |
///
/// A character is one Unicode scalar, as in Python. Lookbehind and operations on classes are not supported.
struct Pattern: Sendable {
  private let program: PatternProgram

  /// - Throws: `PatternError` with the character; also if groups are nested too deep or repetitions too large.
  init(_ text: String) throws(PatternError) { program = try PatternProgram(text) }

  /// Whether the pattern matches somewhere in the text; nil if that takes too many steps.
  func matches(_ text: String) -> Bool? {
    do throws(PatternMatcher.LimitExceeded) {
      var matcher = try PatternMatcher(program, text)
      return try matcher.matches()
    } catch {
      return nil
    }
  }
}

/// Why a pattern is not valid, and at which character (from 1).
struct PatternError: Error, CustomStringConvertible {
  let problem: String
  let character: Int

  var description: String { "\(problem) at character \(character)" }
}
