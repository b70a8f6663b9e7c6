import Telemetry

extension Communicator {
  /// Sends `sendCounts[r]` elements to each rank r and receives `receiveCounts[r]` elements from it. The blocks are
  /// consecutive in `values` and in `result`. Collective.
  ///
  /// The number of elements that a rank sends to another must equal the number that the other receives from it.
  ///
  /// Only the first call on a communicator allocates; later, MPI itself may.
  public func allToAllv<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, sendCounts: UnsafeBufferPointer<Int>,
    into result: UnsafeMutableBufferPointer<Element>, receiveCounts: UnsafeBufferPointer<Int>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    requireCounts(values.count, sendCounts, "values")
    requireCounts(result.count, receiveCounts, "elements")
    try recorded(.allToAllv, values.count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      try exchange(values, contiguous: sendCounts, into: result, contiguous: receiveCounts)
    }
  }

  /// As above, with counts in arrays.
  public func allToAllv<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, sendCounts: [Int], into result: UnsafeMutableBufferPointer<Element>,
    receiveCounts: [Int],
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    try sendCounts.withUnsafe { (sendCounts) throws(MPIError) in
      try receiveCounts.withUnsafe { (receiveCounts) throws(MPIError) in
        try allToAllv(
          values, sendCounts: sendCounts, into: result, receiveCounts: receiveCounts, file: file, line: line)
      }
    }
  }

  /// Sends `blocks[r]` to each rank r; returns the blocks received, in rank order. Collective.
  public func allToAllv<Element: Transferable>(_ blocks: [[Element]], file: StaticString = #fileID, line: Int = #line)
    throws(MPIError) -> [[Element]]
  {
    precondition(blocks.count == size, "\(blocks.count) blocks for \(size) ranks")
    let sendCounts = blocks.map(\.count)
    let receiveCounts = try allToAll(sendCounts, file: file, line: line)
    var result = [Element](repeating: .zero, count: receiveCounts.reduce(0, +))
    try Array(blocks.joined()).withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in
        try allToAllv(
          values, sendCounts: sendCounts, into: result, receiveCounts: receiveCounts, file: file, line: line)
      }
    }
    return cut(result, receiveCounts)
  }

  /// Starts an exchange of blocks of any lengths. Collective.
  public func iAllToAllv<Element: Transferable>(
    _ buffers: consuming TransferPair<Element>, sendCounts: [Int], receiveCounts: [Int],
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Request<TransferPair<Element>> {
    let values = UnsafeBufferPointer(buffers.sent.elements)
    let result = buffers.received.elements
    sendCounts.withUnsafeBufferPointer { requireCounts(values.count, $0, "values") }
    receiveCounts.withUnsafeBufferPointer { requireCounts(result.count, $0, "elements") }
    let sent = Blocks(counts: sendCounts, offsets: offsets(of: sendCounts))
    let received = Blocks(counts: receiveCounts, offsets: offsets(of: receiveCounts))
    var request = try Request(
      self, .allToAllv, values.count, Element.transferType, CallSite(file, line), call: "MPI_Ialltoallw",
      payload: buffers)
    try startExchange(&request, values, sent, into: result, received)
    return request
  }
}
