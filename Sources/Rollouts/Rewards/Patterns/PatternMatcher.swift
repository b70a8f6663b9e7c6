/// Runs a program over a text: backtracking that tries no instruction twice at one place, so that without backreferences
/// the steps are at most instructions · places. The steps are counted, and so bounded on every machine alike.
struct PatternMatcher {
  /// Too many steps, or too large a table of what was tried.
  struct LimitExceeded: Error {}

  /// Steps for one text.
  static let maximumSteps = 1 << 24
  /// The same with backreferences, whose steps cost more and may be exponentially many.
  static let maximumBacktracking = 1 << 21
  /// Bits of the table: instructions · places.
  static let maximumTable = 1 << 28

  private struct Thread {
    var instruction: Int
    var place: Int
    var slots: [Int]
  }

  private let program: PatternProgram
  private let text: [Unicode.Scalar]
  private let limit: Int
  private var steps = 0
  /// What was tried, from any start: a bit for each place and instruction.
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
      if try run(Thread(instruction: 0, place: start, slots: slots), &tried) != nil { return true }
    }
    return false
  }

  /// - Parameter tried: of a run inside another, which has a success of its own; nil: the table.
  private mutating func isTried(_ thread: Thread, _ tried: inout Set<Int>?) -> Bool {
    if program.hasBackreferences { return false }
    let key = thread.place * program.instructions.count + thread.instruction
    if tried != nil { return tried?.insert(key).inserted == false }
    let bit: UInt64 = 1 << UInt64(key & 63)
    if table[key >> 6] & bit != 0 { return true }
    table[key >> 6] |= bit
    return false
  }

  /// Where the instructions from the thread's on first lead to their `accept`, and what they noted.
  private mutating func run(_ start: Thread, _ tried: inout Set<Int>?) throws(LimitExceeded) -> Thread? {
    var waiting = [start]
    while var thread = waiting.popLast() {
      var goesOn = true
      while goesOn {
        steps += 1
        if steps > limit { throw LimitExceeded() }
        if isTried(thread, &tried) { break }
        switch program.instructions[thread.instruction] {
        case .accept: return thread
        case .scalar(let set):
          goesOn = thread.place < text.count && program.sets[set].contains(text[thread.place])
          thread.place += 1
          thread.instruction += 1
        case .jump(let next): thread.instruction = next
        case .split(let first, let second):
          var other = thread
          other.instruction = second
          waiting.append(other)
          thread.instruction = first
        case .assertion(let assertion):
          goesOn = holds(assertion, at: thread.place)
          thread.instruction += 1
        case .lookahead(let next, let isNegative):
          let found = try nested(thread)
          goesOn = (found == nil) == isNegative
          if let found, !isNegative { thread.slots = found.slots }
          thread.instruction = next
        case .atomic(let next):
          if let found = try nested(thread) { thread = found } else { goesOn = false }
          thread.instruction = next
        case .backreference(let group, let ignoresCase):
          goesOn = takeGroup(group, ignoresCase: ignoresCase, &thread)
          thread.instruction += 1
        case .save(let slot):
          thread.slots[slot] = thread.place
          thread.instruction += 1
        case .progress(let slot):
          goesOn = thread.slots[slot] < thread.place
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

  /// Consumes what a group matched; a group that did not take part matches nothing.
  private mutating func takeGroup(_ group: Int, ignoresCase: Bool, _ thread: inout Thread) -> Bool {
    let (start, end) = (thread.slots[2 * group - 2], thread.slots[2 * group - 1])
    guard start >= 0, end >= start, thread.place + end - start <= text.count else { return false }
    for offset in 0..<(end - start) {
      let (wanted, found) = (text[start + offset], text[thread.place + offset])
      guard wanted == found || (ignoresCase && ScalarSet(wanted, ignoresCase: true).contains(found)) else {
        return false
      }
    }
    steps += end - start
    thread.place += end - start
    return true
  }

  private func holds(_ assertion: PatternNode.Assertion, at place: Int) -> Bool {
    switch assertion {
    case .textStart: return place == 0
    case .textEnd: return place == text.count
    case .textEndBeforeNewline:
      return place == text.count || (place == text.count - 1 && ScalarSet.isNewline(text[place]))
    case .lineStart: return place == 0 || ScalarSet.isNewline(text[place - 1])
    case .lineEnd: return place == text.count || ScalarSet.isNewline(text[place])
    case .wordBoundary, .noWordBoundary:
      let before = place > 0 && ScalarSet.isWord(text[place - 1])
      let behind = place < text.count && ScalarSet.isWord(text[place])
      return (before != behind) == (assertion == .wordBoundary)
    }
  }
}
