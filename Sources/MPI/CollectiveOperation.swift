/// A collective operation, as the flight recorder shows it and as ranks compare it.
package struct CollectiveOperation: Sendable {
  enum Kind: UInt8, Sendable {
    case barrier, broadcast, reduce, allReduce, reduceScatter
    case gather, gatherv, allGather, allGatherv, scatter, scatterv, allToAll, allToAllv
    case duplicate, split

    /// The usual English name.
    var name: StaticString {
      switch self {
      case .barrier: "barrier"
      case .broadcast: "broadcast"
      case .reduce: "reduce"
      case .allReduce: "all-reduce"
      case .reduceScatter: "reduce-scatter"
      case .gather: "gather"
      case .gatherv: "gatherv"
      case .allGather: "all-gather"
      case .allGatherv: "all-gatherv"
      case .scatter: "scatter"
      case .scatterv: "scatterv"
      case .allToAll: "all-to-all"
      case .allToAllv: "all-to-all"
      case .duplicate: "duplicate"
      case .split: "split"
      }
    }
  }

  let kind: Kind
  var reduction: ReduceKind?
  /// The root, if the operation has one.
  var root: Int?

  /// Whether all ranks pass the same count.
  var hasEqualCounts: Bool { kind != .allToAllv }

  package static let barrier = Self(kind: .barrier)
  /// An all-reduce that adds.
  package static let sum = Self(kind: .allReduce, reduction: .sum)
  package static let allGather = Self(kind: .allGather)
  package static let allGatherv = Self(kind: .allGatherv)
  package static let allToAll = Self(kind: .allToAll)
  package static let allToAllv = Self(kind: .allToAllv)
  package static let duplicate = Self(kind: .duplicate)
  package static let split = Self(kind: .split)

  static func allReduce(_ reduction: ReduceKind) -> Self { Self(kind: .allReduce, reduction: reduction) }
  static func reduceScatter(_ reduction: ReduceKind) -> Self { Self(kind: .reduceScatter, reduction: reduction) }
  static func reduce(_ reduction: ReduceKind, root: Int) -> Self {
    Self(kind: .reduce, reduction: reduction, root: root)
  }
  package static func broadcast(root: Int) -> Self { Self(kind: .broadcast, root: root) }
  package static func gather(root: Int) -> Self { Self(kind: .gather, root: root) }
  package static func gatherv(root: Int) -> Self { Self(kind: .gatherv, root: root) }
  package static func scatter(root: Int) -> Self { Self(kind: .scatter, root: root) }
  package static func scatterv(root: Int) -> Self { Self(kind: .scatterv, root: root) }
}
