import Glibc
import Synchronization
internal import CMPI

/// Memory that all ranks of one machine read and write.
///
/// It has no name any more once it exists, so nothing is left behind when ranks die.
public final class SharedMemory: @unchecked Sendable {
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int
  let machine: Communicator

  /// Makes `byteCount` zeroed bytes. Collective.
  ///
  /// - Parameter machine: ranks of one machine: `Communicator.splitByMachine()`.
  /// - Returns: nil on all ranks where one of them cannot have it, as with a full or absent /dev/shm.
  public init?(_ machine: Communicator, byteCount: Int) throws(MPIError) {
    precondition(byteCount > 0, "shared memory of \(byteCount) bytes")
    let owner = try machine.broadcast(Int64(getpid()), from: 0)
    let number = try machine.broadcast(Self.made.add(1, ordering: .relaxed).newValue, from: 0)
    let name = "/quillan-\(owner)-\(number)"
    var pages: UnsafeMutableRawPointer?
    if machine.rank == 0 { pages = Self.open(name, byteCount, isNew: true) }
    let exists = try machine.broadcast(Int32(pages == nil ? 0 : 1), from: 0) == 1
    if exists, machine.rank != 0 { pages = Self.open(name, byteCount, isNew: false) }
    let everywhere = try machine.allReduce(Int32(pages == nil ? 0 : 1), .minimum) == 1
    if machine.rank == 0 { shm_unlink(name) }
    guard everywhere, let pages else {
      if let pages { munmap(pages, byteCount) }
      return nil
    }
    base = pages
    self.byteCount = byteCount
    self.machine = machine
  }

  deinit { munmap(base, byteCount) }

  private static let made = Atomic<Int64>(0)

  private static func open(_ name: String, _ byteCount: Int, isNew: Bool) -> UnsafeMutableRawPointer? {
    let file = shm_open(name, isNew ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0o600)
    guard file >= 0 else { return nil }
    defer { close(file) }
    // Taken now: pages that are missing later would end the process.
    if isNew, posix_fallocate(file, 0, byteCount) != 0 {
      shm_unlink(name)
      return nil
    }
    let pages = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
    return pages == MAP_FAILED ? nil : pages
  }

  /// Returns when all ranks have called it; what any of them wrote before is then seen by all. Collective, and not
  /// recorded: part of a collective that is.
  public func synchronize() throws(MPIError) {
    fence()
    try check(MPI_Barrier(machine.handle), "MPI_Barrier")
    fence()
  }

  /// What was written before is seen by whoever learns of it after.
  package func fence() { atomicMemoryFence(ordering: .sequentiallyConsistent) }
}
