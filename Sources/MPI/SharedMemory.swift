import Glibc
import Synchronization
internal import CMPI

/// Memory that all ranks of one machine read and write.
///
/// It never has a name that others could take or that could be left behind: rank 0 of the machine has it open, and the
/// others open what it has by its number.
public final class SharedMemory: @unchecked Sendable {
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int
  let machine: Communicator

  /// Makes `byteCount` zeroed bytes. Collective.
  ///
  /// - Parameter machine: ranks of one machine: `Communicator.splitByMachine()`.
  /// - Returns: nil on all ranks where one of them cannot have it, as with a full or absent /dev/shm.
  public init?(_ machine: Communicator, byteCount: Int) throws(MPIError) {
    guard let pages = try Self.pages(machine, byteCount: byteCount) else { return nil }
    base = pages
    self.byteCount = byteCount
    self.machine = machine
  }

  deinit { munmap(base, byteCount) }

  /// Maps zeroed memory of all ranks of a machine. Collective.
  ///
  /// - Returns: nil on all ranks if one of them cannot have it: no memory, or processes that do not see each other.
  static func pages(_ machine: Communicator, byteCount: Int) throws(MPIError) -> UnsafeMutableRawPointer? {
    precondition(byteCount > 0, "shared memory of \(byteCount) bytes")
    var file: Int32 = -1
    if machine.rank == 0 { file = create(byteCount) }
    defer { if file >= 0 { close(file) } }
    // Process, descriptor, and what tells this memory from whatever another process of this number has open.
    var identity = status(file)
    let place = try machine.broadcast([Int64(getpid()), Int64(file)] + identity, from: 0)
    if place[1] >= 0, machine.rank != 0 {
      file = Glibc.open("/proc/\(place[0])/fd/\(place[1])", O_RDWR | O_CLOEXEC)
      identity = status(file)
    }
    var pages: UnsafeMutableRawPointer?
    if file >= 0, identity == Array(place[2...]) {
      pages = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
      if pages == MAP_FAILED { pages = nil }
    }
    guard try machine.allReduce(Int32(pages == nil ? 0 : 1), .minimum) == 1 else {
      if let pages { munmap(pages, byteCount) }
      return nil
    }
    return pages
  }

  /// A file in memory without a name; -1 if there can be none.
  private static func create(_ byteCount: Int) -> Int32 {
    let file = cmpi_memory_file()
    // Taken now: pages that are missing later would end the process.
    guard file >= 0, posix_fallocate(file, 0, byteCount) != 0 else { return file }
    close(file)
    return -1
  }

  /// Device and number of what a descriptor has open; zeros for none.
  private static func status(_ file: Int32) -> [Int64] {
    var status = stat()
    guard file >= 0, fstat(file, &status) == 0 else { return [0, 0] }
    return [Int64(truncatingIfNeeded: status.st_dev), Int64(truncatingIfNeeded: status.st_ino)]
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
