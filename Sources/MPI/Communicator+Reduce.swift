internal import CMPI

extension Communicator {
  /// Replaces `buffer` of rank `root` by the reduction of all ranks' buffers; other ranks' buffers stay as they are.
  /// Collective; equal lengths.
  public func reduce<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, _ operation: ReduceOperation<Element>, to root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    requireRank(root, "root")
    try recorded(.reduce(operation.kind, root: root), buffer.count, Element.transferType, CallSite(file, line)) {
      () throws(MPIError) in
      for piece in pieces(of: buffer.count) {
        let address = buffer.address(piece.lowerBound)
        let code = MPI_Reduce(
          rank == root ? UnsafeRawPointer(cmpi_in_place()) : UnsafeRawPointer(address), rank == root ? address : nil,
          Int32(piece.count), Element.datatype, operation.handle, Int32(root), handle)
        try check(code, "MPI_Reduce")
      }
    }
  }

  /// The reduction of all ranks' `values` on rank `root`, nil on the others. Collective; equal lengths.
  public func reduce<Element: Transferable>(
    _ values: [Element], _ operation: ReduceOperation<Element>, to root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Element]? {
    var result = values
    try result.withUnsafeMutable { (buffer) throws(MPIError) in
      try reduce(buffer, operation, to: root, file: file, line: line)
    }
    return rank == root ? result : nil
  }
}
