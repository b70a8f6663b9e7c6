internal import CMPI
import Telemetry

extension Communicator {
  /// Sends the r-th of `size` equal blocks of `values` to rank r; block r of `result` comes from rank r.
  /// Collective; equal lengths.
  public func allToAll<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    let count = blockLength(of: values.count)
    precondition(result.count == values.count, "\(values.count) values exchanged into \(result.count)")
    try recorded(.allToAll, count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if values.count <= countLimit {
        let code = MPI_Alltoall(
          values.address(0), Int32(count), Element.datatype, result.address(0), Int32(count), Element.datatype, handle)
        try check(code, "MPI_Alltoall")
      } else {
        try exchange(values, .same(count, size: size), into: result, .same(count, size: size))
      }
    }
  }

  /// Block r of the result is the block for this rank in the `values` of rank r. Collective; equal lengths.
  public func allToAll<Element: Transferable>(_ values: [Element], file: StaticString = #fileID, line: Int = #line)
    throws(MPIError) -> [Element]
  {
    var result = values
    try values.withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in
        try allToAll(values, into: result, file: file, line: line)
      }
    }
    return result
  }

  /// Starts an exchange of equal blocks. Both buffers have the same length. Collective; equal lengths.
  public func iAllToAll<Element: Transferable>(
    _ buffers: consuming TransferPair<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Request<TransferPair<Element>> {
    let values = UnsafeBufferPointer(buffers.sent.elements)
    let result = buffers.received.elements
    let count = blockLength(of: values.count)
    precondition(result.count == values.count, "\(values.count) values exchanged into \(result.count)")
    var request = try Request(
      self, .allToAll, count, Element.transferType, CallSite(file, line), call: "MPI_Ialltoall", payload: buffers)
    if values.count <= countLimit {
      try request.start {
        MPI_Ialltoall(
          values.address(0), Int32(count), Element.datatype, result.address(0), Int32(count), Element.datatype,
          handle, $0)
      }
    } else {
      let blocks = Blocks.same(count, size: size)
      try startExchange(&request, values, blocks, into: result, blocks)
    }
    return request
  }
}
