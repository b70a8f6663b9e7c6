internal import CMPI
import Telemetry

extension Communicator {
  /// Reduces all ranks' `values` and gives each rank r block r of the reduction, of `counts[r]` elements. Collective;
  /// all ranks pass the same counts.
  ///
  /// - Parameters:
  ///   - values: the blocks of all ranks, consecutive.
  ///   - result: this rank's block.
  public func reduceScatter<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>, counts: [Int],
    _ operation: ReduceOperation<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    let starts = offsets(of: counts)
    let total = counts.reduce(0, +)
    precondition(values.count == total, "\(values.count) values for counts of \(total) elements")
    precondition(result.count == counts[rank], "\(result.count) elements for a block of \(counts[rank])")
    try recorded(.reduceScatter(operation.kind), total, Element.transferType, CallSite(file, line)) {
      () throws(MPIError) in
      if total <= countLimit {
        let code = MPI_Reduce_scatter(
          values.address(0), result.address(0), counts.map(Int32.init), Element.datatype, operation.handle, handle)
        try check(code, "MPI_Reduce_scatter")
      } else {
        try reduceBlocks(of: values, starts, counts, into: result, operation)
      }
    }
  }

  /// Reduces all ranks' `buffer` in place: block r of the reduction, of `counts[r]` elements, is written to the start
  /// of rank r's buffer; the rest of the buffer is undefined. Collective; all ranks pass the same counts.
  public func reduceScatter<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, counts: [Int], _ operation: ReduceOperation<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    let starts = offsets(of: counts)
    let total = counts.reduce(0, +)
    precondition(buffer.count == total, "\(buffer.count) values for counts of \(total) elements")
    try recorded(.reduceScatter(operation.kind), total, Element.transferType, CallSite(file, line)) {
      () throws(MPIError) in
      if total <= countLimit {
        let code = MPI_Reduce_scatter(
          cmpi_in_place(), buffer.address(0), counts.map(Int32.init), Element.datatype, operation.handle, handle)
        try check(code, "MPI_Reduce_scatter")
      } else {
        var block = TransferBuffer<Element>(count: counts[rank])
        try reduceBlocks(of: UnsafeBufferPointer(buffer), starts, counts, into: block.elements, operation)
        block.withUnsafeMutableElements { _ = buffer.update(fromContentsOf: $0) }
      }
    }
  }

  /// This rank's block, of `counts[rank]` elements, of the reduction of all ranks' `values`. Collective.
  public func reduceScatter<Element: Transferable>(
    _ values: [Element], counts: [Int], _ operation: ReduceOperation<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> [Element] {
    var result = values
    try result.withUnsafeMutable { (buffer) throws(MPIError) in
      try reduceScatter(buffer, counts: counts, operation, file: file, line: line)
    }
    return Array(result.prefix(counts[rank]))
  }

  /// Reduces by one MPI reduction per rank, because a reduction can be split.
  private func reduceBlocks<Element: Transferable>(
    of values: UnsafeBufferPointer<Element>, _ starts: [Int], _ counts: [Int],
    into result: UnsafeMutableBufferPointer<Element>, _ operation: ReduceOperation<Element>
  ) throws(MPIError) {
    for owner in 0..<size {
      for part in parts(of: counts[owner]) {
        let code = MPI_Reduce(
          values.address(starts[owner] + part.lowerBound), owner == rank ? result.address(part.lowerBound) : nil,
          Int32(part.count), Element.datatype, operation.handle, Int32(owner), handle)
        try check(code, "MPI_Reduce")
      }
    }
  }
}
