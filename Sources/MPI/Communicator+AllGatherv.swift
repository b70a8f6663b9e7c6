internal import CMPI
import Telemetry

extension Communicator {
  /// Writes the `values` of all ranks, `counts[r]` elements from rank r, in rank order to the `result` of every rank.
  /// Collective; all ranks pass the same counts.
  ///
  /// Only the first call on a communicator allocates; later, MPI itself may.
  public func allGatherv<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>, counts: [Int],
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    counts.withUnsafeBufferPointer { requireCounts(result.count, $0, "elements") }
    precondition(values.count == counts[rank], "\(values.count) values for a count of \(counts[rank])")
    try recorded(.allGatherv, result.count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if result.count <= countLimit {
        gatherArguments.set(counts)
        let code = MPI_Allgatherv(
          values.address(0), Int32(values.count), Element.datatype, result.address(0), gatherArguments.counts,
          gatherArguments.displacements, Element.datatype, handle)
        try check(code, "MPI_Allgatherv")
      } else {
        _ = result[counts[..<rank].reduce(0, +)...].update(fromContentsOf: values)
        try broadcastBlocks(in: result) { counts[$0] }
      }
    }
  }

  /// All-gathers in place: `buffer` has a block of `counts[r]` elements for each rank r, in rank order, and each rank
  /// has filled its own block. Collective; all ranks pass the same counts. It allocates as the form above does.
  public func allGatherv<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, counts: [Int],
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) {
    counts.withUnsafeBufferPointer { requireCounts(buffer.count, $0, "elements") }
    try recorded(.allGatherv, buffer.count, Element.transferType, CallSite(file, line)) { () throws(MPIError) in
      if buffer.count <= countLimit {
        gatherArguments.set(counts)
        let code = MPI_Allgatherv(
          cmpi_in_place(), 0, Element.datatype, buffer.address(0), gatherArguments.counts,
          gatherArguments.displacements, Element.datatype, handle)
        try check(code, "MPI_Allgatherv")
      } else {
        try broadcastBlocks(in: buffer) { counts[$0] }
      }
    }
  }

  /// The `values` of every rank, in rank order, on every rank; lengths may differ. Collective.
  public func allGatherv<Element: Transferable>(_ values: [Element], file: StaticString = #fileID, line: Int = #line)
    throws(MPIError) -> [[Element]]
  {
    let counts = try allGather(values.count, file: file, line: line)
    var result = [Element](repeating: .zero, count: counts.reduce(0, +))
    try values.withUnsafe { (values) throws(MPIError) in
      try result.withUnsafeMutable { (result) throws(MPIError) in
        try allGatherv(values, into: result, counts: counts, file: file, line: line)
      }
    }
    return cut(result, counts)
  }

  /// Starts an in-place all-gather: `buffer` has a block of `counts[r]` elements for each rank r, in rank order, and
  /// each rank has filled its own block. Collective; all ranks pass the same counts.
  public func iAllGatherv<Element: Transferable>(
    _ buffer: consuming TransferBuffer<Element>, counts: [Int],
    file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Request<TransferBuffer<Element>> {
    let elements = buffer.elements
    let blocks = Blocks(counts: counts, offsets: offsets(of: counts))
    precondition(elements.count == counts.reduce(0, +), "\(elements.count) elements for counts \(counts)")
    var request = try Request(
      self, .allGatherv, elements.count, Element.transferType, CallSite(file, line), call: "MPI_Iallgatherv",
      payload: buffer)
    if elements.count <= countLimit {
      let arguments = IntegerArguments(size: size)
      arguments.set(counts)
      try request.start(keeping: [arguments]) {
        MPI_Iallgatherv(
          cmpi_in_place(), 0, Element.datatype, elements.address(0), arguments.counts, arguments.displacements,
          Element.datatype, handle, $0)
      }
    } else {
      try startBroadcasts(&request, blocks, in: elements)
    }
    return request
  }

  /// Splits consecutive blocks into one array per rank.
  func cut<Element>(_ values: [Element], _ counts: [Int]) -> [[Element]] {
    zip(offsets(of: counts), counts).map { start, count in Array(values[start..<start + count]) }
  }
}

/// Counts and displacements, in elements, in memory that stays valid until a non-blocking call has ended.
final class IntegerArguments {
  let counts: UnsafeMutablePointer<Int32>
  let displacements: UnsafeMutablePointer<Int32>

  init(size: Int) {
    counts = .allocate(capacity: size)
    displacements = .allocate(capacity: size)
    counts.initialize(repeating: 0, count: size)
    displacements.initialize(repeating: 0, count: size)
  }

  /// Describes consecutive blocks of these lengths.
  func set(_ lengths: [Int]) {
    var next = 0
    for (other, length) in lengths.enumerated() {
      counts[other] = Int32(length)
      displacements[other] = Int32(next)
      next += length
    }
  }

  deinit {
    counts.deallocate()
    displacements.deallocate()
  }
}
