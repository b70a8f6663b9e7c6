/// A part of a parsed pattern.
indirect enum PatternNode {
  case empty
  /// One Unicode scalar of a set.
  case scalar(ScalarSet)
  case sequence([PatternNode])
  /// The first alternative that leads to a match.
  case alternatives([PatternNode])
  case capture(Int, PatternNode)
  case repetition(PatternNode, minimum: Int, maximum: Int?, kind: RepetitionKind)
  case assertion(Assertion)
  case lookahead(PatternNode, isNegative: Bool)
  /// The first match of the node, without backtracking into it.
  case atomic(PatternNode)
  case backreference(Int, ignoresCase: Bool)

  enum RepetitionKind { case greedy, lazy, possessive }

  /// A condition on a position, which consumes nothing.
  enum Assertion {
    case textStart, textEnd, textEndBeforeNewline, lineStart, lineEnd, wordBoundary, noWordBoundary
  }
}
