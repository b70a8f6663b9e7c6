/// The right completions of one group.
package struct PassRecord: Sendable, Equatable {
  let number: UInt64
  private(set) var scored = 0
  private(set) var right = 0

  init(number: UInt64) { self.number = number }

  mutating func add(isRight: Bool, isScored: Bool) {
    if isScored { scored += 1 }
    if isRight { right += 1 }
  }

  /// The share of right completions among the scored ones; nil if none has a score.
  var rate: Double? { scored > 0 ? Double(right) / Double(scored) : nil }
}
