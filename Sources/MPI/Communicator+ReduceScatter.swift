internal import CMPI

extension Communicator {
  /// Reduces all ranks' `values` and gives rank r the r-th block of the reduction, `counts[r]` elements long.
  /// Collective; all ranks pass the same counts.
  ///
  /// - Parameters:
  ///   - values: the blocks of all ranks, one after another.
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

  /// Reduces all ranks' `buffer` in place: rank r finds the r-th block of the reduction, `counts[r]` elements long,
  /// at the start of its buffer; what follows there is undefined. Collective; all ranks pass the same counts.
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

  /// The block of rank r, `counts[r]` elements long, of the reduction of all ranks' `values`. Collective.
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

  /// The same by one reduction per rank, each of which can be split.
  private func reduceBlocks<Element: Transferable>(
    of values: UnsafeBufferPointer<Element>, _ starts: [Int], _ counts: [Int],
    into result: UnsafeMutableBufferPointer<Element>, _ operation: ReduceOperation<Element>
  ) throws(MPIError) {
    for owner in 0..<size {
      for piece in pieces(of: counts[owner]) {
        let code = MPI_Reduce(
          values.address(starts[owner] + piece.lowerBound), owner == rank ? result.address(piece.lowerBound) : nil,
          Int32(piece.count), Element.datatype, operation.handle, Int32(owner), handle)
        try check(code, "MPI_Reduce")
      }
    }
  }
}
