import Files
import Glibc

/// Clears what Open MPI leaves in /dev/shm and in its folder of temporary files where ranks and mpirun were killed.
///
/// Every rank puts a sign into the folder of its job (`<tmp>/ompi.<host>.<user>/pid.<mpirun>/quillan`), a file with the
/// job's number, and holds a shared lock on it while it lives. A folder with such a sign that nobody holds, of an mpirun that
/// is gone, is a dead job of this program: the next start on the machine removes it with the job's segments of memory.
enum SessionLeftovers {
  private static let sign = "quillan"
  private static let sharedMemory = "/dev/shm"

  /// Puts the sign of this process's job, and clears those of dead ones. Does nothing where mpirun names no folder.
  static func start() {
    guard let text = variable("OMPI_MCA_orte_jobfam_session_dir"), let job = variable("PMIX_NAMESPACE"),
      UInt32(job) != nil
    else { return }
    let folder = Path(text)
    guard let own = try? DirectoryHandle(folder.text), let file = try? own.openFile(sign, mode: 0o600) else { return }
    // Kept open, and so locked, until the process ends.
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
      let found = try? session.identity(sign), found.kind == .regular, found.owner == geteuid(),
      let file = try? session.openFile(sign)
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
