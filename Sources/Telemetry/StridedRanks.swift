/// Ranks at equal distances, as those of the world, an expert group and a data-parallel group are.
package struct StridedRanks: Sendable, Equatable {
  package var first: Int32
  package var stride: Int32
  /// 0 if the ranks are not at equal distances.
  package var count: Int32

  package static let none = StridedRanks(first: 0, stride: 1, count: 0)

  package init(first: Int32, stride: Int32, count: Int32) {
    self.first = first
    self.stride = stride
    self.count = count
  }

  package init(_ ranks: [Int32]) {
    guard let first = ranks.first else {
      self = .none
      return
    }
    let stride = ranks.count > 1 ? ranks[1] - first : 1
    let isEven = stride > 0 && ranks.indices.allSatisfy { ranks[$0] == first + Int32($0) * stride }
    self = isEven ? StridedRanks(first: first, stride: stride, count: Int32(ranks.count)) : .none
  }

  package var ranks: [Int] { (0..<Int(count)).map { Int(first) + $0 * Int(stride) } }
}
