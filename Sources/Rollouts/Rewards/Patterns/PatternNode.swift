/// A part of a parsed pattern.
indirect enum PatternNode {
  case empty
  /// One Unicode scalar of a set.
  case scalar(ScalarSet)
  case sequence([PatternNode])
  /// The first alternative that leads to a match.
  case alternatives([PatternNode])
  case capture(Int, PatternNode)
  case repetition(PatternNode, least: Int, most: Int?, kind: RepetitionKind)
  case assertion(Assertion)
  case lookahead(PatternNode, isNegative: Bool)
  /// Matches as `PatternNode` first does, and never in another way afterwards.
  case atomic(PatternNode)
  case backreference(Int, ignoresCase: Bool)

  enum RepetitionKind { case greedy, lazy, possessive }

  /// A condition on a place, which consumes nothing.
  enum Assertion {
    case textStart, textEnd, textEndBeforeNewline, lineStart, lineEnd, wordBoundary, noWordBoundary
  }
}

/// What is wrong with a pattern, and at which of its characters (from 1).
struct PatternError: Error, CustomStringConvertible {
  let problem: String
  let place: Int

  var description: String { "\(problem) at character \(place)" }
}
