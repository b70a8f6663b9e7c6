internal import CMPI

/// A non-blocking transfer in memory that other objects own, as part of a larger collective. It allocates nothing.
///
/// `Request` owns its memory, so the compiler rejects programs that touch the memory too early. The memory here belongs
/// to `MemoryOwners`, which the transfer keeps alive. If the transfer is dropped before its end, the owners are never
/// freed, because MPI may still write to their memory. It makes progress only in MPI calls. Only the thread that
/// started it may use it.
package struct PolledTransfer: ~Copyable {
  private var transfer: TransferHandle
  private let owners: MemoryOwners
  private var isComplete = false

  init(
    _ call: StaticString, keeping owners: MemoryOwners, _ start: (UnsafeMutablePointer<MPI_Request?>) -> Int32
  ) throws(MPIError) {
    self.owners = owners
    transfer = try TransferHandle(call, start)
  }

  /// Returns whether the transfer is complete. If `waits`, waits for the end, so the result is true.
  package mutating func advance(waits: Bool) throws(MPIError) -> Bool {
    if isComplete { return true }
    if waits {
      try transfer.wait()
      isComplete = true
    } else {
      isComplete = try transfer.test()
    }
    return isComplete
  }

  deinit { if !isComplete { owners.leak() } }
}

/// The objects that own the memory of a `PolledTransfer`.
package struct MemoryOwners {
  private let buffer: AnyObject
  private let workspace: AnyObject

  /// - Parameters:
  ///   - buffer: owns the elements that are reduced.
  ///   - workspace: owns all other memory that the transfer reads or writes, for example counts.
  package init(buffer: AnyObject, workspace: AnyObject) {
    self.buffer = buffer
    self.workspace = workspace
  }

  /// Keeps the objects alive until the process ends.
  fileprivate func leak() { for owner in [buffer, workspace] { _ = Unmanaged.passRetained(owner) } }
}

/// Parts of collectives: the caller records the whole collective, so these calls are not recorded. All are collective.
/// Counts and offsets are in elements, one for each rank. Nobody may change them, or the elements, before the transfer
/// is complete.
extension Communicator {
  /// Starts to send each rank its block of `values`.
  package func startAllToAll<Element: Transferable>(
    _ values: UnsafeMutableBufferPointer<Element>, counts: UnsafePointer<Int32>, offsets: UnsafePointer<Int32>,
    into result: UnsafeMutableBufferPointer<Element>, counts resultCounts: UnsafePointer<Int32>,
    offsets resultOffsets: UnsafePointer<Int32>, keeping owners: MemoryOwners
  ) throws(MPIError) -> PolledTransfer {
    try PolledTransfer("MPI_Ialltoallv", keeping: owners) {
      MPI_Ialltoallv(
        values.address(0), counts, offsets, Element.datatype, result.address(0), resultCounts, resultOffsets,
        Element.datatype, handle, $0)
    }
  }

  /// Starts to send this rank's block of `values` to all ranks, which receive it at the same offset.
  package func startAllGather<Element: Transferable>(
    _ values: UnsafeMutableBufferPointer<Element>, counts: UnsafePointer<Int32>, offsets: UnsafePointer<Int32>,
    keeping owners: MemoryOwners
  ) throws(MPIError) -> PolledTransfer {
    try PolledTransfer("MPI_Iallgatherv", keeping: owners) {
      MPI_Iallgatherv(
        cmpi_in_place(), 0, Element.datatype, values.address(0), counts, offsets, Element.datatype, handle, $0)
    }
  }
}

extension SharedMemory {
  /// Starts `synchronize`. The caller must call `fence` when the transfer is complete.
  package func startSynchronizing(keeping owners: MemoryOwners) throws(MPIError) -> PolledTransfer {
    fence()
    return try PolledTransfer("MPI_Ibarrier", keeping: owners) { MPI_Ibarrier(machine.handle, $0) }
  }
}
