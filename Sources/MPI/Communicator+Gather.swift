internal import CMPI
import Telemetry

extension Communicator {
  /// Writes the `values` of all ranks, in rank order, to the `result` of rank `root`; other ranks pass an empty result.
  /// Collective; equal lengths.
  public func gather<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>, to root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    requireRank(root, "root")
    let count = values.count
    let expected = rank == root ? count * size : 0
    precondition(result.count == expected, "\(result.count) elements where \(expected) are gathered")
    try recorded(.gather(root: root), count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if count * size <= countLimit {
        let code = MPI_Gather(
          values.address(0), Int32(count), Element.datatype, result.address(0), Int32(count), Element.datatype,
          Int32(root), handle)
        try check(code, "MPI_Gather")
      } else {
        try gatherBlocks(values, into: result, .same(count, size: size), to: root)
      }
    }
  }

  /// All ranks' `values` in rank order on rank `root`, nil on the others. Collective; equal lengths.
  public func gather<Element: Transferable>(
    _ values: [Element], to root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Element]? {
    var result = [Element](repeating: .zero, count: rank == root ? values.count * size : 0)
    try values.withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in
        try gather(values, into: result, to: root, file: file, line: line)
      }
    }
    return rank == root ? result : nil
  }

  func gatherBlocks<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>, _ blocks: Blocks,
    to root: Int
  ) throws(MPIError) {
    var sent = Blocks.none(size: size)
    sent.counts[root] = values.count
    try exchange(values, sent, into: result, rank == root ? blocks : .none(size: size))
  }
}
