internal import CMPI
import Telemetry

extension Communicator {
  /// Sends block r of the `size` equal blocks in rank `root`'s `values` to each rank r; other ranks pass no values.
  /// Collective.
  public func scatter<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>, from root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    requireRank(root, "root")
    let count = result.count
    let expected = rank == root ? count * size : 0
    precondition(values.count == expected, "\(values.count) values where \(expected) are scattered")
    try recorded(.scatter(root: root), count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if count * size <= countLimit {
        let code = MPI_Scatter(
          values.address(0), Int32(count), Element.datatype, result.address(0), Int32(count), Element.datatype,
          Int32(root), handle)
        try check(code, "MPI_Scatter")
      } else {
        try scatterBlocks(values, .same(count, size: size), into: result, from: root)
      }
    }
  }

  /// This rank's block of rank `root`'s `values`, whose count is a multiple of `size`; the values of other ranks are
  /// ignored. Collective.
  public func scatter<Element: Transferable>(
    _ values: [Element], from root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Element] {
    let count = blockLength(of: try broadcast(values.count, from: root, file: file, line: line))
    var result = [Element](repeating: .zero, count: count)
    try (rank == root ? values : []).withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in
        try scatter(values, into: result, from: root, file: file, line: line)
      }
    }
    return result
  }

  func scatterBlocks<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, _ blocks: Blocks, into result: UnsafeMutableBufferPointer<Element>,
    from root: Int
  ) throws(MPIError) {
    var received = Blocks.none(size: size)
    received.counts[root] = result.count
    try exchange(values, rank == root ? blocks : .none(size: size), into: result, received)
  }
}
