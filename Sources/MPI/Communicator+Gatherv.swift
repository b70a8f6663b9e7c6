internal import CMPI
import Telemetry

extension Communicator {
  /// Writes the `values` of all ranks, `counts[r]` elements from rank r, in rank order to the `result` of rank `root`;
  /// other ranks pass an empty result. Collective; all ranks pass the same counts.
  public func gatherv<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>, counts: [Int],
    to root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    requireRank(root, "root")
    let blocks = Blocks(counts: counts, offsets: offsets(of: counts))
    let total = counts.reduce(0, +)
    let expected = rank == root ? total : 0
    precondition(values.count == counts[rank], "\(values.count) values for a count of \(counts[rank])")
    precondition(result.count == expected, "\(result.count) elements where \(expected) are gathered")
    try recorded(.gatherv(root: root), total, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if total <= countLimit {
        let code = MPI_Gatherv(
          values.address(0), Int32(values.count), Element.datatype, result.address(0), counts.map(Int32.init),
          blocks.offsets.map(Int32.init), Element.datatype, Int32(root), handle)
        try check(code, "MPI_Gatherv")
      } else {
        try gatherBlocks(values, into: result, blocks, to: root)
      }
    }
  }

  /// The `values` of every rank, in rank order, on rank `root`, nil on the others; lengths may differ. Collective.
  public func gatherv<Element: Transferable>(
    _ values: [Element], to root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [[Element]]? {
    let counts = try allGather(values.count, file: file, line: line)
    var result = [Element](repeating: .zero, count: rank == root ? counts.reduce(0, +) : 0)
    try values.withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in
        try gatherv(values, into: result, counts: counts, to: root, file: file, line: line)
      }
    }
    return rank == root ? cut(result, counts) : nil
  }
}
