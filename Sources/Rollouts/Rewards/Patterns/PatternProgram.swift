/// A pattern as instructions for `PatternMatcher`.
struct PatternProgram: Sendable {
  enum Instruction: Sendable {
    /// Consumes one scalar of a set.
    case scalar(Int)
    case jump(Int)
    /// Tries the first instruction, then the second.
    case split(Int, Int)
    case assertion(PatternNode.Assertion)
    /// Runs the following instructions up to their `accept` at this position, then continues at `next` without
    /// consuming.
    case lookahead(next: Int, isNegative: Bool)
    /// As `lookahead`, but continues where they ended.
    case atomic(next: Int)
    case backreference(Int, ignoresCase: Bool)
    /// Saves the position, as a group's bound or a repetition's start.
    case save(Int)
    /// Fails if nothing was consumed since the position was saved.
    case progress(Int)
    case accept
  }

  /// A set with its members below 128 as bits.
  struct IndexedSet: Sendable {
    let set: ScalarSet
    let low: UInt64
    let high: UInt64

    init(_ set: ScalarSet) {
      func bits(from first: UInt8) -> UInt64 {
        (0..<64).reduce(0) { $0 | (set.contains(Unicode.Scalar(first + UInt8($1))) ? 1 << UInt64($1) : 0) }
      }
      self.set = set
      (low, high) = (bits(from: 0), bits(from: 64))
    }

    func contains(_ scalar: Unicode.Scalar) -> Bool {
      if scalar.value < 64 { return low >> UInt64(scalar.value) & 1 != 0 }
      if scalar.value < 128 { return high >> UInt64(scalar.value - 64) & 1 != 0 }
      return set.contains(scalar)
    }
  }

  /// The maximum number of instructions; repetitions are unrolled.
  static let maximumCount = 20_000

  private(set) var instructions: [Instruction] = []
  private(set) var sets: [IndexedSet] = []
  /// The number of saved positions; 0 without backreferences, since only they read groups.
  private(set) var slotCount = 0
  private var work = 0

  init(_ text: String) throws(PatternError) {
    var parser = PatternParser(text)
    let node = try parser.parse()
    if Self.hasBackreference(node) { slotCount = 2 * parser.captureCount }
    try add(node)
    instructions.append(.accept)
  }

  /// Whether the result from a position depends on how it was reached.
  var hasBackreferences: Bool { slotCount > 0 }

  private static func hasBackreference(_ node: PatternNode) -> Bool {
    switch node {
    case .backreference: true
    case .sequence(let parts), .alternatives(let parts): parts.contains(where: hasBackreference)
    case .capture(_, let body), .repetition(let body, _, _, _), .lookahead(let body, _), .atomic(let body):
      hasBackreference(body)
    case .empty, .scalar, .assertion: false
    }
  }

  private mutating func append(_ instruction: Instruction) -> Int {
    instructions.append(instruction)
    return instructions.count - 1
  }

  private mutating func add(_ node: PatternNode) throws(PatternError) {
    work += 1
    if work > Self.maximumCount {
      throw PatternError(
        problem: "the unrolled repetitions have more than \(Self.maximumCount) parts; repeat less", character: 1)
    }
    switch node {
    case .empty: break
    case .scalar(let set):
      sets.append(IndexedSet(set))
      instructions.append(.scalar(sets.count - 1))
    case .sequence(let parts): for part in parts { try add(part) }
    case .alternatives(let parts): try addAlternatives(parts)
    case .capture(let number, let body):
      if hasBackreferences { instructions.append(.save(2 * number - 2)) }
      try add(body)
      if hasBackreferences { instructions.append(.save(2 * number - 1)) }
    case .repetition(let body, let minimum, let maximum, .possessive):
      try addNested(.repetition(body, minimum: minimum, maximum: maximum, kind: .greedy)) { .atomic(next: $0) }
    case .repetition(let body, let minimum, let maximum, let kind):
      try addRepetition(body, minimum: minimum, maximum: maximum, isLazy: kind == .lazy)
    case .assertion(let assertion): instructions.append(.assertion(assertion))
    case .lookahead(let body, let isNegative): try addNested(body) { .lookahead(next: $0, isNegative: isNegative) }
    case .atomic(let body): try addNested(body) { .atomic(next: $0) }
    case .backreference(let group, let ignoresCase):
      instructions.append(.backreference(group, ignoresCase: ignoresCase))
    }
  }

  private mutating func addNested(_ body: PatternNode, _ head: (Int) -> Instruction) throws(PatternError) {
    let start = append(.accept)
    try add(body)
    instructions.append(.accept)
    instructions[start] = head(instructions.count)
  }

  private mutating func addAlternatives(_ parts: [PatternNode]) throws(PatternError) {
    var ends: [Int] = []
    for (index, part) in parts.enumerated() {
      guard index + 1 < parts.count else {
        try add(part)
        break
      }
      let split = append(.accept)
      try add(part)
      ends.append(append(.accept))
      instructions[split] = .split(split + 1, instructions.count)
    }
    for end in ends { instructions[end] = .jump(instructions.count) }
  }

  private mutating func addRepetition(_ body: PatternNode, minimum: Int, maximum: Int?, isLazy: Bool)
    throws(PatternError)
  {
    func split(_ body: Int, _ rest: Int) -> Instruction { isLazy ? .split(rest, body) : .split(body, rest) }
    for _ in 0..<minimum { try add(body) }
    guard let maximum else {
      let start = append(.accept)
      var slot: Int?
      if hasBackreferences {
        slot = slotCount
        slotCount += 1
        instructions.append(.save(slotCount - 1))
      }
      try add(body)
      if let slot { instructions.append(.progress(slot)) }
      instructions.append(.jump(start))
      instructions[start] = split(start + 1, instructions.count)
      return
    }
    var splits: [Int] = []
    for _ in minimum..<maximum {
      splits.append(append(.accept))
      try add(body)
    }
    for index in splits { instructions[index] = split(index + 1, instructions.count) }
  }
}
