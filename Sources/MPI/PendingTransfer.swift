internal import CMPI

/// A transfer that was started on memory which its owner keeps until it is over: what `Request` is for memory of its own.
///
/// It makes progress only in MPI's calls, and is for the thread that started it. Dropped before its end, it leaves MPI
/// with the memory.
package struct PendingTransfer {
  private let call: StaticString
  private var handle: MPI_Request?
  private var isOver = false

  init(_ call: StaticString, _ start: (UnsafeMutablePointer<MPI_Request?>) -> Int32) throws(MPIError) {
    self.call = call
    try check(start(&handle), call)
  }

  /// Whether it is over. With `waits`, it is in the end: returns true or throws.
  package mutating func end(waits: Bool) throws(MPIError) -> Bool {
    if isOver { return true }
    if waits {
      isOver = true
      try check(MPI_Wait(&handle, cmpi_status_ignore()), call)
      return true
    }
    var done: Int32 = 0
    try check(MPI_Test(&handle, &done, cmpi_status_ignore()), call)
    isOver = done != 0
    return isOver
  }
}

/// Collective, and not recorded: parts of collectives that are. Counts and offsets are in elements, one for each rank,
/// and stay as they are until the transfer is over, as the elements do.
extension Communicator {
  /// Starts to send each rank its block of `values`.
  package func startAllToAll<Element: Transferable>(
    _ values: UnsafeMutableBufferPointer<Element>, counts: UnsafePointer<Int32>, offsets: UnsafePointer<Int32>,
    into result: UnsafeMutableBufferPointer<Element>, counts resultCounts: UnsafePointer<Int32>,
    offsets resultOffsets: UnsafePointer<Int32>
  ) throws(MPIError) -> PendingTransfer {
    try PendingTransfer("MPI_Ialltoallv") {
      MPI_Ialltoallv(
        values.address(0), counts, offsets, Element.datatype, result.address(0), resultCounts, resultOffsets,
        Element.datatype, handle, $0)
    }
  }

  /// Starts to send this rank's block of `values` to all ranks, which get it in the same place.
  package func startAllGather<Element: Transferable>(
    _ values: UnsafeMutableBufferPointer<Element>, counts: UnsafePointer<Int32>, offsets: UnsafePointer<Int32>
  ) throws(MPIError) -> PendingTransfer {
    try PendingTransfer("MPI_Iallgatherv") {
      MPI_Iallgatherv(
        cmpi_in_place(), 0, Element.datatype, values.address(0), counts, offsets, Element.datatype, handle, $0)
    }
  }
}

extension SharedMemory {
  /// Starts `synchronize`, whose end must be followed by `fence`. Collective, and not recorded.
  package func startSynchronizing() throws(MPIError) -> PendingTransfer {
    fence()
    return try PendingTransfer("MPI_Ibarrier") { MPI_Ibarrier(machine.handle, $0) }
  }
}

extension Communicator {
  /// Notes that a collective begins that does not keep the thread; in debug mode, all ranks first compare what they are
  /// about to start.
  ///
  /// - Returns: which of the communicator's collectives it is.
  package func recordStart(
    _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?, _ site: CallSite
  ) throws(MPIError) -> UInt64 {
    let place = FlightRecorder.start(log)
    if CollectiveCheck.isOn { try CollectiveCheck.compare(self, operation, count, type, site) }
    return place
  }

  /// Runs `body`, which waits for the end of the collective that was the `place`-th, under the eyes of the recorder.
  package func recordWait<Result>(
    _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?, _ site: CallSite, place: UInt64,
    _ body: () throws(MPIError) -> Result
  ) throws(MPIError) -> Result {
    _ = FlightRecorder.enter(operation, count, type, site, log, started: place)
    defer { FlightRecorder.leave() }
    return try body()
  }
}
