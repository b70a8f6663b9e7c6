internal import CMPI
import Telemetry

extension Communicator {
  /// Copies the `buffer` of rank `root` to the buffers of all ranks. Collective; all buffers have the same length.
  public func broadcast<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, from root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    requireRank(root, "root")
    try recorded(.broadcast(root: root), buffer.count, Element.transferType, CallSite(file, line)) {
      () throws(MPIError) in
      for part in parts(of: buffer.count) {
        let address = buffer.address(part.lowerBound)
        let code = MPI_Bcast(address, Int32(part.count), Element.datatype, Int32(root), handle)
        try check(code, "MPI_Bcast")
      }
    }
  }

  /// The `values` of rank `root`, on every rank; the values of other ranks are ignored. Collective.
  public func broadcast<Element: Transferable>(
    _ values: [Element], from root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Element] {
    let count = try broadcast(values.count, from: root, file: file, line: line)
    var result = rank == root ? values : [Element](repeating: .zero, count: count)
    try result.withUnsafeMutable { (buffer) throws(MPIError) in
      try broadcast(buffer, from: root, file: file, line: line)
    }
    return result
  }

  /// The `value` of rank `root`, on every rank. Collective.
  public func broadcast<Element: Transferable>(
    _ value: Element, from root: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Element {
    var result = [value]
    try result.withUnsafeMutable { (buffer) throws(MPIError) in
      try broadcast(buffer, from: root, file: file, line: line)
    }
    return result[0]
  }

  /// Starts a broadcast of `buffer` from rank `root`. Collective; all buffers have the same length.
  public func iBroadcast<Element: Transferable>(
    _ buffer: consuming TransferBuffer<Element>, from root: Int,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Request<TransferBuffer<Element>> {
    requireRank(root, "root")
    let elements = buffer.elements
    var request = try Request(
      self, .broadcast(root: root), elements.count, Element.transferType, CallSite(file, line), call: "MPI_Ibcast",
      payload: buffer)
    for part in parts(of: elements.count) {
      let address = elements.address(part.lowerBound)
      try request.start { MPI_Ibcast(address, Int32(part.count), Element.datatype, Int32(root), handle, $0) }
    }
    return request
  }
}
