internal import CMPI
import Telemetry

extension Communicator {
  /// Writes the `values` of all ranks, in rank order, to the `result` of every rank. Collective; equal lengths.
  public func allGather<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    let count = values.count
    precondition(result.count == count * size, "\(result.count) elements for \(size) blocks of \(count)")
    try recorded(.allGather, count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if result.count <= countLimit {
        let code = MPI_Allgather(
          values.address(0), Int32(count), Element.datatype, result.address(0), Int32(count), Element.datatype, handle)
        try check(code, "MPI_Allgather")
      } else {
        _ = result[(rank * count)...].update(fromContentsOf: values)
        try broadcastBlocks(in: result) { _ in count }
      }
    }
  }

  /// All-gathers in place: `buffer` has `size` equal blocks, of which each rank r has filled block r. Collective.
  public func allGather<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    let count = blockLength(of: buffer.count)
    try recorded(.allGather, count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if buffer.count <= countLimit {
        let code = MPI_Allgather(
          cmpi_in_place(), 0, Element.datatype, buffer.address(0), Int32(count), Element.datatype, handle)
        try check(code, "MPI_Allgather")
      } else {
        try broadcastBlocks(in: buffer) { _ in count }
      }
    }
  }

  /// All ranks' `values` in rank order, on every rank. Collective; equal lengths.
  public func allGather<Element: Transferable>(_ values: [Element], file: StaticString = #fileID, line: Int = #line)
    throws(MPIError) -> [Element]
  {
    var result = [Element](repeating: .zero, count: values.count * size)
    try values.withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in
        try allGather(values, into: result, file: file, line: line)
      }
    }
    return result
  }

  /// Every rank's `value` in rank order, on every rank. Collective.
  public func allGather<Element: Transferable>(_ value: Element, file: StaticString = #fileID, line: Int = #line)
    throws(MPIError) -> [Element]
  {
    try allGather([value], file: file, line: line)
  }

  /// Starts an in-place all-gather: `buffer` has `size` equal blocks, of which each rank r has filled block r.
  /// Collective.
  public func iAllGather<Element: Transferable>(
    _ buffer: consuming TransferBuffer<Element>,
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Request<TransferBuffer<Element>> {
    let elements = buffer.elements
    let count = blockLength(of: elements.count)
    var request = try Request(
      self, .allGather, count, Element.transferType, CallSite(file, line), call: "MPI_Iallgather", payload: buffer)
    if elements.count <= countLimit {
      try request.start {
        MPI_Iallgather(
          cmpi_in_place(), 0, Element.datatype, elements.address(0), Int32(count), Element.datatype, handle, $0)
      }
    } else {
      try startBroadcasts(&request, .same(count, size: size), in: elements)
    }
    return request
  }

  /// The length of one block of a buffer that has one block for each rank.
  func blockLength(of count: Int) -> Int {
    precondition(count.isMultiple(of: size), "\(count) elements cannot be divided into \(size) equal blocks")
    return count / size
  }

  /// All-gathers in place by one broadcast per rank, because a broadcast can be split. Rank r's block has `count(r)`
  /// elements and follows the block of rank r − 1.
  func broadcastBlocks<Element: Transferable>(
    in buffer: UnsafeMutableBufferPointer<Element>, count: (Int) -> Int
  ) throws(MPIError) {
    var start = 0
    for owner in 0..<size {
      let end = start + count(owner)
      try broadcast(UnsafeMutableBufferPointer(rebasing: buffer[start..<end]), from: owner)
      start = end
    }
  }

  /// As `broadcastBlocks`, started as part of `request`.
  func startBroadcasts<Element: Transferable, Payload: ~Copyable>(
    _ request: inout Request<Payload>, _ blocks: Blocks, in buffer: UnsafeMutableBufferPointer<Element>
  ) throws(MPIError) {
    for owner in 0..<size {
      for part in parts(of: blocks.counts[owner]) {
        let address = buffer.address(blocks.offsets[owner] + part.lowerBound)
        try request.start { MPI_Ibcast(address, Int32(part.count), Element.datatype, Int32(owner), handle, $0) }
      }
    }
  }
}
