internal import CMPI
import Telemetry

extension Communicator {
  /// Replaces `buffer` on every rank by the reduction of all ranks' buffers. Collective; equal lengths.
  public func allReduce<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, _ operation: ReduceOperation<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    try recorded(.allReduce(operation.kind), buffer.count, Element.transferType, CallSite(file, line)) {
      () throws(MPIError) in
      for part in parts(of: buffer.count) {
        let code = MPI_Allreduce(
          cmpi_in_place(), buffer.address(part.lowerBound), Int32(part.count), Element.datatype, operation.handle,
          handle)
        try check(code, "MPI_Allreduce")
      }
    }
  }

  /// Writes the reduction of all ranks' `values` into every rank's `result`. Collective; equal lengths.
  public func allReduce<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>,
    _ operation: ReduceOperation<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    precondition(values.count == result.count, "\(values.count) elements reduced into \(result.count)")
    try recorded(.allReduce(operation.kind), values.count, Element.transferType, CallSite(file, line)) {
      () throws(MPIError) in
      for part in parts(of: values.count) {
        let code = MPI_Allreduce(
          values.address(part.lowerBound), result.address(part.lowerBound), Int32(part.count), Element.datatype,
          operation.handle, handle)
        try check(code, "MPI_Allreduce")
      }
    }
  }

  /// The reduction of all ranks' `values`, element by element, on every rank. Collective; equal lengths.
  public func allReduce<Element: Transferable>(
    _ values: [Element], _ operation: ReduceOperation<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Element] {
    var result = values
    try result.withUnsafeMutable { (buffer) throws(MPIError) in
      try allReduce(buffer, operation, file: file, line: line)
    }
    return result
  }

  /// The reduction of all ranks' `value`, on every rank. Collective.
  public func allReduce<Element: Transferable>(
    _ value: Element, _ operation: ReduceOperation<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Element {
    try allReduce([value], operation, file: file, line: line)[0]
  }

  /// Starts an in-place all-reduce of `buffer`. Collective; equal lengths.
  public func iAllReduce<Element: Transferable>(
    _ buffer: consuming TransferBuffer<Element>, _ operation: ReduceOperation<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Request<TransferBuffer<Element>> {
    let elements = buffer.elements
    var request = try Request(
      self, .allReduce(operation.kind), elements.count, Element.transferType, CallSite(file, line),
      call: "MPI_Iallreduce", payload: buffer)
    for part in parts(of: elements.count) {
      let address = elements.address(part.lowerBound)
      try request.start {
        MPI_Iallreduce(
          cmpi_in_place(), address, Int32(part.count), Element.datatype, operation.handle, handle, $0)
      }
    }
    return request
  }
}
