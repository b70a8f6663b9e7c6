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

extension Communicator {
  /// Starts an in-place all-reduce of `buffer`, of at most `countLimit` elements. Collective, and not recorded: part of a
  /// collective that is.
  package func startAllReduce<Element: Transferable>(
    _ buffer: UnsafeMutableBufferPointer<Element>, _ operation: ReduceOperation<Element>
  ) throws(MPIError) -> PendingTransfer {
    precondition(buffer.count <= countLimit, "\(buffer.count) elements in one transfer")
    return try PendingTransfer("MPI_Iallreduce") {
      MPI_Iallreduce(
        cmpi_in_place(), buffer.address(0), Int32(buffer.count), Element.datatype, operation.handle, handle, $0)
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
