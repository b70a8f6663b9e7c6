/// The parts, of at most `limit` elements each, of a transfer of `count` elements.
struct Parts: Sequence, IteratorProtocol {
  private var start = 0
  private let count: Int
  private let limit: Int
  private var owesEmptyPart: Bool

  /// - Parameter announcesEmpty: whether a transfer of no elements has one empty part (a message that must arrive) or
  ///   no part.
  init(count: Int, limit: Int, announcesEmpty: Bool = false) {
    self.count = count
    self.limit = limit
    owesEmptyPart = announcesEmpty && count == 0
  }

  mutating func next() -> Range<Int>? {
    if owesEmptyPart {
      owesEmptyPart = false
      return 0..<0
    }
    guard start < count else { return nil }
    let end = Swift.min(start + limit, count)
    defer { start = end }
    return start..<end
  }
}

extension Communicator {
  func parts(of count: Int) -> Parts { Parts(count: count, limit: countLimit) }

  func messageParts(of count: Int) -> Parts { Parts(count: count, limit: countLimit, announcesEmpty: true) }

  func requireRank(_ other: Int, _ role: StaticString) {
    precondition(0..<size ~= other, "\(role) \(other) is not in 0 ..< \(size)")
  }

  func requireTag(_ tag: Int) {
    precondition(0...Self.largestTag ~= tag, "tag \(tag) is not in 0 ... \(Self.largestTag)")
  }

  /// Requires one count for each rank, none of them negative, with the sum `total`.
  func requireCounts(_ total: Int, _ counts: UnsafeBufferPointer<Int>, _ name: StaticString) {
    precondition(counts.count == size, "\(counts.count) counts for \(size) ranks")
    var sum = 0
    for count in counts {
      precondition(count >= 0, "a count is \(count)")
      sum += count
    }
    precondition(total == sum, "\(total) \(name) for counts \(Array(counts))")
  }

  /// The offset of each rank's block if the blocks are consecutive.
  func offsets(of counts: [Int]) -> [Int] {
    precondition(counts.count == size, "\(counts.count) counts for \(size) ranks")
    var next = 0
    return counts.map { count in
      precondition(count >= 0, "a count is \(count)")
      defer { next += count }
      return next
    }
  }
}

extension UnsafeMutableBufferPointer {
  /// The address of element `index`; nil, which MPI accepts for an empty transfer, if the buffer is empty.
  func address(_ index: Int) -> UnsafeMutablePointer<Element>? { baseAddress.map { $0 + index } }
}

extension UnsafeBufferPointer {
  /// The address of element `index`; nil, which MPI accepts for an empty transfer, if the buffer is empty.
  func address(_ index: Int) -> UnsafePointer<Element>? { baseAddress.map { $0 + index } }
}
