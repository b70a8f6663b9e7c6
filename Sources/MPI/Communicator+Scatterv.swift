internal import CMPI
import Telemetry

extension Communicator {
  /// Sends block r, of `counts[r]` elements, of rank `root`'s `values` to each rank r; other ranks pass no values.
  /// Collective; all ranks pass the same counts.
  public func scatterv<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, counts: [Int], into result: UnsafeMutableBufferPointer<Element>,
    from root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    requireRank(root, "root")
    let blocks = Blocks(counts: counts, offsets: offsets(of: counts))
    let total = counts.reduce(0, +)
    let expected = rank == root ? total : 0
    precondition(values.count == expected, "\(values.count) values where \(expected) are scattered")
    precondition(result.count == counts[rank], "\(result.count) elements for a count of \(counts[rank])")
    try recorded(.scatterv(root: root), total, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if total <= countLimit {
        let code = MPI_Scatterv(
          values.address(0), counts.map(Int32.init), blocks.offsets.map(Int32.init), Element.datatype,
          result.address(0), Int32(result.count), Element.datatype, Int32(root), handle)
        try check(code, "MPI_Scatterv")
      } else {
        try scatterBlocks(values, blocks, into: result, from: root)
      }
    }
  }

  /// This rank's array among the `blocks` of rank `root`, which has one for each rank; the blocks of other ranks are
  /// ignored. Collective.
  public func scatterv<Element: Transferable>(
    _ blocks: [[Element]], from root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Element] {
    precondition(rank != root || blocks.count == size, "\(blocks.count) blocks for \(size) ranks")
    let counts = try broadcast(blocks.map(\.count), from: root, file: file, line: line)
    var result = [Element](repeating: .zero, count: counts[rank])
    try (rank == root ? Array(blocks.joined()) : []).withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in
        try scatterv(values, counts: counts, into: result, from: root, file: file, line: line)
      }
    }
    return result
  }
}
