import Files
import Glibc

/// Removes what Open MPI leaves in /dev/shm and in its directory of temporary files when ranks and mpirun are killed.
///
/// Every rank creates a marker file in the directory of its job (`<tmp>/ompi.<host>.<user>/pid.<mpirun>/quillan`). The
/// file has the job's number, and the rank holds a shared lock on it while it lives. If nobody holds the lock and the
/// mpirun is gone, the job is dead: the next start on the machine removes the directory and the job's shared-memory
/// segments.
enum SessionLeftovers {
  private static let marker = "quillan"
  private static let sharedMemory = "/dev/shm"

  /// Creates the marker of this process's job and removes dead jobs. Does nothing if mpirun names no directory.
  static func start() {
    guard let text = variable("OMPI_MCA_orte_jobfam_session_dir"), let job = variable("PMIX_NAMESPACE"),
      UInt32(job) != nil
    else { return }
    let folder = Path(text)
    guard let own = try? DirectoryHandle(folder.text), let file = try? own.openFile(marker, mode: 0o600) else { return }
    // The file stays open, and so locked, until the process ends.
    _ = flock(file, LOCK_SH)
    let line = Array("\(job)\n".utf8)
    _ = pwrite(file, line, line.count, 0)
    guard variable("OMPI_COMM_WORLD_LOCAL_RANK") == "0", let top = try? DirectoryHandle(folder.parent.text),
      let names = try? top.names()
    else { return }
    for name in names where name != folder.name { clear(name, in: top, folder: folder.parent.name) }
  }

  private static func variable(_ name: String) -> String? { getenv(name).flatMap { String(validatingCString: $0) } }

  /// - Parameter folder: `ompi.<host>.<user>`.
  private static func clear(_ name: String, in top: DirectoryHandle, folder: String) {
    guard name.hasPrefix("pid."), let launcher = pid_t(name.dropFirst("pid.".count)), launcher > 0,
      kill(launcher, 0) != 0, errno == ESRCH, let session = try? top.directory(name),
      let found = try? session.identity(marker), found.kind == .regular, found.owner == geteuid(),
      let file = try? session.openFile(marker)
    else { return }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = pread(file, &bytes, bytes.count, 0)
    guard flock(file, LOCK_EX | LOCK_NB) == 0, count > 0,
      let job = UInt32(String(decoding: bytes.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    else { return }
    let prefix = "vader_segment.\(folder.dropFirst("ompi.".count)).\(String(job, radix: 16))."
    if let memory = try? DirectoryHandle(sharedMemory) {
      for segment in (try? memory.names()) ?? [] where segment.hasPrefix(prefix) {
        guard let identity = try? memory.identity(segment), identity.kind == .regular, identity.owner == geteuid()
        else {
          continue
        }
        try? memory.removeFile(segment)
      }
    }
    try? top.removeAll(name)
  }
}
