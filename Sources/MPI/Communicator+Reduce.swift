internal import CMPI
import Telemetry

extension Communicator {
  /// Replaces the `buffer` of rank `root` by the reduction of all ranks' buffers; the buffers of other ranks do not
  /// change. Collective; equal lengths.
  public func reduce<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, _ operation: ReduceOperation<Element>, to root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    requireRank(root, "root")
    try recorded(.reduce(operation.kind, root: root), buffer.count, Element.transferType, CallSite(file, line)) {
      () throws(MPIError) in
      for part in parts(of: buffer.count) {
        let address = buffer.address(part.lowerBound)
        let code = MPI_Reduce(
          rank == root ? UnsafeRawPointer(cmpi_in_place()) : UnsafeRawPointer(address), rank == root ? address : nil,
          Int32(part.count), Element.datatype, operation.handle, Int32(root), handle)
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
