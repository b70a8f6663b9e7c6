import Tensors

/// The rows of each network of a stack: rows starts[e] ..< starts[e + 1] of a sorted matrix belong to network e.
/// Iteration visits the networks that have rows.
public struct Offsets: Sequence, BitwiseCopyable, Sendable {
  /// One number for each network, and the total number of rows.
  let starts: ArrayView<Int32>

  public init(_ starts: ArrayView<Int32>) { self.starts = starts }

  /// A single network that takes all rows.
  public init(all rows: Int, in arena: Arena) {
    starts = arena.view(Int32.self, 2)
    starts[0] = 0
    starts[1] = Int32(rows)
  }

  public func makeIterator() -> Iterator { Iterator(starts: starts) }

  public struct Iterator: IteratorProtocol {
    let starts: ArrayView<Int32>
    var network = 0

    public mutating func next() -> (network: Int, range: Range<Int>)? {
      while network + 1 < starts.count {
        defer { network += 1 }
        let range = Int(starts[network])..<Int(starts[network + 1])
        if !range.isEmpty { return (network, range) }
      }
      return nil
    }
  }
}
