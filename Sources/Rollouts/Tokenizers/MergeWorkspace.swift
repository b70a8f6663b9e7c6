/// Applies merges to one word at a time: always the lowest rank, on ties the leftmost, until none applies.
///
/// The symbols are a linked list and the candidates a heap, so a word of n bytes takes O(n log n) steps, also if it is
/// long.
struct MergeWorkspace {
  private var ids: [Int32] = []
  private var next: [Int] = []
  private var previous: [Int] = []
  private var heap: [UInt64] = []
  private let merges: MergeTable
  private let byteIds: [Int32]
  private static let merged: Int32 = -1
  /// In the place of a byte's id: the vocabulary has no token for the byte, which is left out.
  static let noToken: Int32 = -1

  init(merges: MergeTable, byteIds: [Int32]) {
    self.merges = merges
    self.byteIds = byteIds
  }

  /// Appends the ids of a word of at most 2³¹ bytes.
  mutating func encode(_ word: UnsafeBufferPointer<UInt8>, into output: inout [Int32]) {
    ids.removeAll(keepingCapacity: true)
    for byte in word where byteIds[Int(byte)] != Self.noToken { ids.append(byteIds[Int(byte)]) }
    let count = ids.count
    if count < 2 {
      output.append(contentsOf: ids)
      return
    }
    next.removeAll(keepingCapacity: true)
    previous.removeAll(keepingCapacity: true)
    for position in 0..<count {
      next.append(position + 1)
      previous.append(position - 1)
    }
    for position in 0..<count - 1 { pushCandidate(at: position) }
    while let candidate = popCandidate() {
      let position = Int(candidate & 0xFFFF_FFFF)
      let right = next[position]
      // A candidate is stale if one of its symbols has changed since it was pushed.
      guard ids[position] != Self.merged, right < count,
        let merge = merges.merge(left: ids[position], right: ids[right]), UInt64(merge.rank) == candidate >> 32
      else { continue }
      ids[position] = merge.result
      ids[right] = Self.merged
      next[position] = next[right]
      if next[right] < count {
        previous[next[right]] = position
        pushCandidate(at: position)
      }
      if previous[position] >= 0 { pushCandidate(at: previous[position]) }
    }
    for id in ids where id != Self.merged { output.append(id) }
  }

  private mutating func pushCandidate(at position: Int) {
    guard let merge = merges.merge(left: ids[position], right: ids[next[position]]) else { return }
    heap.append(UInt64(merge.rank) << 32 | UInt64(position))
    var child = heap.count - 1
    while child > 0, heap[child] < heap[(child - 1) / 2] {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func popCandidate() -> UInt64? {
    guard let smallest = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return smallest }
    heap[0] = last
    var parent = 0
    while true {
      var child = 2 * parent + 1
      if child >= heap.count { return smallest }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      if heap[parent] <= heap[child] { return smallest }
      heap.swapAt(parent, child)
      parent = child
    }
  }
}
