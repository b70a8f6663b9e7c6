/// Runs a program over a text by backtracking that tries no instruction twice at one position: without backreferences
/// there are at most instructions · positions steps. The number of steps is limited, equally on every machine.
struct PatternMatcher {
  /// Too many steps, or too large a table of tried pairs.
  struct LimitExceeded: Error {}

  /// The maximum steps for one text.
  static let maximumSteps = 1 << 24
  /// The maximum steps with backreferences, whose steps cost more and may be exponentially many.
  static let maximumBacktracking = 1 << 21
  /// The maximum bits of the table: instructions · positions.
  static let maximumTable = 1 << 28

  private struct Thread {
    var instruction: Int
    var position: Int
    var slots: [Int]
  }

  private let program: PatternProgram
  private let text: [Unicode.Scalar]
  private let limit: Int
  private var steps = 0
  /// The pairs of position and instruction that were tried, from any start, one bit each.
  private var table: [UInt64] = []

  init(_ program: PatternProgram, _ text: String) throws(LimitExceeded) {
    self.program = program
    self.text = Array(text.unicodeScalars)
    limit = program.hasBackreferences ? Self.maximumBacktracking : Self.maximumSteps
    guard !program.hasBackreferences else { return }
    let (size, isTooLarge) = program.instructions.count.multipliedReportingOverflow(by: self.text.count + 1)
    if isTooLarge || size > Self.maximumTable { throw LimitExceeded() }
    table = [UInt64](repeating: 0, count: size / 64 + 1)
  }

  /// Whether the program matches somewhere.
  mutating func matches() throws(LimitExceeded) -> Bool {
    let slots = [Int](repeating: -1, count: program.slotCount)
    for start in 0...text.count {
      var tried: Set<Int>?
      if try run(Thread(instruction: 0, position: start, slots: slots), &tried) != nil { return true }
    }
    return false
  }

  /// - Parameter tried: the tried pairs of an inner run, which succeeds separately; nil is the table.
  private mutating func isTried(_ thread: Thread, _ tried: inout Set<Int>?) -> Bool {
    if program.hasBackreferences { return false }
    let key = thread.position * program.instructions.count + thread.instruction
    if tried != nil { return tried?.insert(key).inserted == false }
    let bit: UInt64 = 1 << UInt64(key & 63)
    if table[key >> 6] & bit != 0 { return true }
    table[key >> 6] |= bit
    return false
  }

  /// The position and saved positions of the first `accept` that the instructions from the thread's on lead to.
  private mutating func run(_ start: Thread, _ tried: inout Set<Int>?) throws(LimitExceeded) -> Thread? {
    var waiting = [start]
    while var thread = waiting.popLast() {
      var isAlive = true
      while isAlive {
        steps += 1
        if steps > limit { throw LimitExceeded() }
        if isTried(thread, &tried) { break }
        switch program.instructions[thread.instruction] {
        case .accept: return thread
        case .scalar(let set):
          isAlive = thread.position < text.count && program.sets[set].contains(text[thread.position])
          thread.position += 1
          thread.instruction += 1
        case .jump(let next): thread.instruction = next
        case .split(let first, let second):
          var other = thread
          other.instruction = second
          waiting.append(other)
          thread.instruction = first
        case .assertion(let assertion):
          isAlive = holds(assertion, at: thread.position)
          thread.instruction += 1
        case .lookahead(let next, let isNegative):
          let found = try nested(thread)
          isAlive = (found == nil) == isNegative
          if let found, !isNegative { thread.slots = found.slots }
          thread.instruction = next
        case .atomic(let next):
          if let found = try nested(thread) { thread = found } else { isAlive = false }
          thread.instruction = next
        case .backreference(let group, let ignoresCase):
          isAlive = takeGroup(group, ignoresCase: ignoresCase, &thread)
          thread.instruction += 1
        case .save(let slot):
          thread.slots[slot] = thread.position
          thread.instruction += 1
        case .progress(let slot):
          isAlive = thread.slots[slot] < thread.position
          thread.instruction += 1
        }
      }
    }
    return nil
  }

  private mutating func nested(_ thread: Thread) throws(LimitExceeded) -> Thread? {
    var inner = thread
    inner.instruction += 1
    var tried: Set<Int>? = []
    return try run(inner, &tried)
  }

  /// Consumes the text that a group matched; a group without a match fails.
  private mutating func takeGroup(_ group: Int, ignoresCase: Bool, _ thread: inout Thread) -> Bool {
    let (start, end) = (thread.slots[2 * group - 2], thread.slots[2 * group - 1])
    guard start >= 0, end >= start, thread.position + end - start <= text.count else { return false }
    for offset in 0..<(end - start) {
      let (wanted, found) = (text[start + offset], text[thread.position + offset])
      guard wanted == found || (ignoresCase && ScalarSet(wanted, ignoresCase: true).contains(found)) else {
        return false
      }
    }
    steps += end - start
    thread.position += end - start
    return true
  }

  private func holds(_ assertion: PatternNode.Assertion, at position: Int) -> Bool {
    switch assertion {
    case .textStart: return position == 0
    case .textEnd: return position == text.count
    case .textEndBeforeNewline:
      return position == text.count || (position == text.count - 1 && ScalarSet.isNewline(text[position]))
    case .lineStart: return position == 0 || ScalarSet.isNewline(text[position - 1])
    case .lineEnd: return position == text.count || ScalarSet.isNewline(text[position])
    case .wordBoundary, .noWordBoundary:
      let before = position > 0 && ScalarSet.isWord(text[position - 1])
      let behind = position < text.count && ScalarSet.isWord(text[position])
      return (before != behind) == (assertion == .wordBoundary)
    }
  }
}
