/// The merges of a byte-pair vocabulary: (left id, right id) → rank and id of the result, by open addressing.
struct MergeTable: Sendable {
  struct Merge: Equatable, Sendable {
    /// Lower ranks are applied first.
    let rank: UInt32
    let result: Int32
  }

  private var keys: [UInt64]
  private var merges: [Merge]
  private let mask: Int
  private static let empty = UInt64.max

  /// An empty table with room for `capacity` merges.
  init(capacity: Int) {
    var size = 16
    while size < 2 * capacity { size *= 2 }
    keys = Array(repeating: Self.empty, count: size)
    merges = Array(repeating: Merge(rank: 0, result: 0), count: size)
    mask = size - 1
  }

  /// Adds a merge; false if the pair already has one.
  mutating func insert(left: Int32, right: Int32, merge: Merge) -> Bool {
    let slot = slot(left: left, right: right)
    if keys[slot] != Self.empty { return false }
    keys[slot] = Self.key(left, right)
    merges[slot] = merge
    return true
  }

  /// The merge of two adjacent ids, if there is one.
  func merge(left: Int32, right: Int32) -> Merge? {
    let slot = slot(left: left, right: right)
    return keys[slot] == Self.empty ? nil : merges[slot]
  }

  private func slot(left: Int32, right: Int32) -> Int {
    let key = Self.key(left, right)
    var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    while keys[slot] != key, keys[slot] != Self.empty { slot = (slot + 1) & mask }
    return slot
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }
}
