internal import CMPI

extension Communicator {
  /// Puts every rank's `values` one after another, in rank order, into every rank's `result`. Collective; equal lengths.
  public func allGather<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>
  ) throws(MPIError) {
    let count = values.count
    precondition(result.count == count * size, "\(result.count) elements for \(size) blocks of \(count)")
    if result.count <= countLimit {
      let code = MPI_Allgather(
        values.address(0), Int32(count), Element.datatype, result.address(0), Int32(count), Element.datatype, handle)
      try check(code, "MPI_Allgather")
    } else {
      let sent = Blocks(counts: [Int](repeating: count, count: size), offsets: [Int](repeating: 0, count: size))
      try exchange(values, sent, into: result, .same(count, size: size))
    }
  }

  /// Completes `buffer`, of which every rank r has filled the r-th of `size` equal blocks. Collective.
  public func allGather<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>
  ) throws(MPIError) {
    let count = blockLength(of: buffer.count)
    if buffer.count <= countLimit {
      let code = MPI_Allgather(
        cmpi_in_place(), 0, Element.datatype, buffer.address(0), Int32(count), Element.datatype, handle)
      try check(code, "MPI_Allgather")
    } else {
      let (sent, received) = inPlaceBlocks(.same(count, size: size))
      try exchange(UnsafeBufferPointer(buffer), sent, into: buffer, received)
    }
  }

  /// All ranks' `values` in rank order, on every rank. Collective; equal lengths.
  public func allGather<Element: Transferable>(_ values: [Element]) throws(MPIError) -> [Element] {
    var result = [Element](repeating: .zero, count: values.count * size)
    try values.withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in try allGather(values, into: result) }
    }
    return result
  }

  /// Every rank's `value` in rank order, on every rank. Collective.
  public func allGather<Element: Transferable>(_ value: Element) throws(MPIError) -> [Element] {
    try allGather([value])
  }

  /// Starts an all-gather in `buffer`, of which every rank r has filled the r-th of `size` equal blocks. Collective.
  public func iAllGather<Element: Transferable>(
    _ buffer: consuming TransferBuffer<Element>
  ) throws(MPIError) -> Request<TransferBuffer<Element>> {
    let elements = buffer.elements
    let count = blockLength(of: elements.count)
    var request = Request(self, call: "MPI_Iallgather", payload: buffer)
    if elements.count <= countLimit {
      try request.start {
        MPI_Iallgather(
          cmpi_in_place(), 0, Element.datatype, elements.address(0), Int32(count), Element.datatype, handle, $0)
      }
    } else {
      let (sent, received) = inPlaceBlocks(.same(count, size: size))
      try startExchange(&request, UnsafeBufferPointer(elements), sent, into: elements, received)
    }
    return request
  }

  /// The length of one block of a buffer that holds one for each rank.
  func blockLength(of count: Int) -> Int {
    precondition(count.isMultiple(of: size), "\(count) elements are no \(size) equal blocks")
    return count / size
  }

  /// The exchange that completes a buffer in which this rank's block already lies where it belongs.
  func inPlaceBlocks(_ blocks: Blocks) -> (sent: Blocks, received: Blocks) {
    var sent = Blocks(
      counts: [Int](repeating: blocks.counts[rank], count: size),
      offsets: [Int](repeating: blocks.offsets[rank], count: size))
    var received = blocks
    sent.counts[rank] = 0
    received.counts[rank] = 0
    return (sent, received)
  }
}
