import Glibc
import Synchronization
internal import CMPI

/// Memory that all ranks of one machine read and write.
///
/// The memory has no name, so nobody else can open it and it cannot be left behind: rank 0 of the machine keeps it
/// open, and the others open it by process and descriptor.
public final class SharedMemory: @unchecked Sendable {
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int
  let machine: Communicator

  /// Allocates `byteCount` bytes, filled with zeros. Collective.
  ///
  /// - Parameter machine: ranks of one machine: `Communicator.splitByMachine()`.
  /// - Returns: nil on all ranks if a rank cannot map the memory, for example because /dev/shm is full or missing.
  public init?(_ machine: Communicator, byteCount: Int) throws(MPIError) {
    guard let pages = try Self.pages(machine, byteCount: byteCount) else { return nil }
    base = pages
    self.byteCount = byteCount
    self.machine = machine
  }

  deinit { munmap(base, byteCount) }

  /// Maps memory filled with zeros on all ranks of a machine. Collective.
  ///
  /// - Returns: nil on all ranks if a rank cannot map it: no memory, or processes that cannot see each other.
  static func pages(_ machine: Communicator, byteCount: Int) throws(MPIError) -> UnsafeMutableRawPointer? {
    precondition(byteCount > 0, "shared memory of \(byteCount) bytes")
    var file: Int32 = -1
    if machine.rank == 0 { file = create(byteCount) }
    defer { if file >= 0 { close(file) } }
    // Process, descriptor, and the file's identity, which tells this memory from a file that another process with this
    // number has open.
    var identity = status(file)
    let source = try machine.broadcast([Int64(getpid()), Int64(file)] + identity, from: 0)
    if source[1] >= 0, machine.rank != 0 {
      file = Glibc.open("/proc/\(source[0])/fd/\(source[1])", O_RDWR | O_CLOEXEC)
      identity = status(file)
    }
    var pages: UnsafeMutableRawPointer?
    if file >= 0, identity == Array(source[2...]) {
      pages = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
      if pages == MAP_FAILED { pages = nil }
    }
    guard try machine.allReduce(Int32(pages == nil ? 0 : 1), .minimum) == 1 else {
      if let pages { munmap(pages, byteCount) }
      return nil
    }
    return pages
  }

  /// Creates a file in memory without a name; -1 if that fails.
  private static func create(_ byteCount: Int) -> Int32 {
    let file = cmpi_memory_file()
    // Allocated now, because a page that is missing later would end the process.
    guard file >= 0, posix_fallocate(file, 0, byteCount) != 0 else { return file }
    close(file)
    return -1
  }

  /// Device and inode of the open file; zeros if there is none.
  private static func status(_ file: Int32) -> [Int64] {
    var status = stat()
    guard file >= 0, fstat(file, &status) == 0 else { return [0, 0] }
    return [Int64(truncatingIfNeeded: status.st_dev), Int64(truncatingIfNeeded: status.st_ino)]
  }

  /// Returns when all ranks have called it. Every rank then sees what any rank wrote before. Collective; not recorded,
  /// because it is part of a recorded collective.
  public func synchronize() throws(MPIError) {
    fence()
    try check(MPI_Barrier(machine.handle), "MPI_Barrier")
    fence()
  }

  /// Orders writes before it with reads after it, on all ranks.
  package func fence() { atomicMemoryFence(ordering: .sequentiallyConsistent) }
}
