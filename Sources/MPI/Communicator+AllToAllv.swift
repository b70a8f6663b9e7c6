extension Communicator {
  /// Sends `sendCounts[r]` elements to each rank r, which lie one after another in `values`, and puts the
  /// `receiveCounts[r]` elements from each rank r one after another into `result`. Collective.
  ///
  /// What a rank sends to another must be what that one receives from it.
  ///
  /// Only the first exchange of blocks in a communicator allocates; in later ones MPI alone may.
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

  /// The same with counts in arrays.
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

  /// The arrays that every rank had for this one among its `blocks`, in rank order. Collective.
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
