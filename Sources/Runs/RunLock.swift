import Files
import Foundation
import Learning
import Reports
import Rollouts

/// Prevents two processes from writing the same run: `run.lock` in the run's directory names the process and host that
/// own it.
///
/// Rank 0 holds the lock for its job. The system releases its lock on the file when the process ends, however it ends.
/// For file systems that do not share such locks between machines, the owner also renews the file's modification time:
/// another machine takes the lock over only if that time does not change.
package final class RunLock {
  /// The content of the file: format `quillan-run-lock`, version 1.
  private struct Holder: Codable {
    var format = "quillan-run-lock"
    var version = 1
    var host: String
    var process: Int32
    /// The boot identifier of the machine's kernel.
    var boot: String
    /// Seconds since 1970.
    var since: Int
  }

  package static let fileName = RunDirectory.lockName
  /// Seconds without a change of the modification time after which a lock counts as abandoned.
  private static let patience = 7.0

  /// A message about the previous owner, if it left its lock behind.
  package let remark: String?
  private let held: HeldFile

  /// Acquires the lock of the run in `path`.
  ///
  /// - Throws: `TrainingError` naming the process that owns the lock.
  package init(_ path: String) throws {
    let directory: DirectoryHandle
    do throws(FileFault) { directory = try DirectoryHandle(path) } catch { throw ReportError(error) }
    var left: Holder?
    held = HeldFile(try Self.acquire(directory, &left), named: Self.fileName, in: directory)
    remark = left.map { "\(path): took over the lock of process \($0.process) on \($0.host), which no longer runs" }
    let holder = Holder(
      host: MachineIdentity.host, process: getpid(), boot: MachineIdentity.boot,
      since: Int(Date().timeIntervalSince1970))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try held.write(Array(encoder.encode(holder)) + [UInt8(ascii: "\n")])
    held.startRenewing()
  }

  /// Releases the lock.
  deinit { held.release() }

  /// Opens and locks the file.
  ///
  /// - Parameter left: set to the previous owner if it left its lock behind.
  private static func acquire(_ directory: DirectoryHandle, _ left: inout Holder?) throws -> Int32 {
    while true {
      let file: Int32
      do throws(FileFault) { file = try directory.openFile(fileName) } catch { throw ReportError(error) }
      do {
        let isLocked = flock(file, LOCK_EX | LOCK_NB) == 0
        let isTaken = !isLocked && errno == EWOULDBLOCK
        let holder = read(file)
        if isTaken { throw busy(directory, holder) }
        // The previous owner removes the file when it ends; the path may already name the file of a new owner.
        guard try directory.isOpen(file, as: fileName) else {
          close(file)
          continue
        }
        if let holder, try isAlive(holder, directory, isLocked: isLocked) { throw busy(directory, holder) }
        left = holder
        return file
      } catch {
        close(file)
        throw error
      }
    }
  }

  /// Whether the process that a lock file names is still running; on another machine it may be, even if this process
  /// could lock the file.
  private static func isAlive(_ holder: Holder, _ directory: DirectoryHandle, isLocked: Bool) throws -> Bool {
    if holder.boot == MachineIdentity.boot {
      return !isLocked && (kill(holder.process, 0) == 0 || errno == EPERM)
    }
    func time() throws -> timespec? { try directory.modificationTime(fileName) }
    let first = try time()
    let end = ContinuousClock.now + .seconds(patience)
    while ContinuousClock.now < end {
      usleep(500_000)
      let now = try time()
      if now?.tv_sec != first?.tv_sec || now?.tv_nsec != first?.tv_nsec { return true }
    }
    return false
  }

  private static func read(_ file: Int32) -> Holder? {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = pread(file, &bytes, bytes.count, 0)
    guard count > 0 else { return nil }
    return try? JSONDecoder().decode(Holder.self, from: Data(bytes[..<count]))
  }

  private static func busy(_ directory: DirectoryHandle, _ holder: Holder?) -> TrainingError {
    let who = holder.map { "process \($0.process) on \($0.host)" } ?? "another process"
    return TrainingError(
      .failure,
      "\(directory.path): \(who) is using this run (\(fileName)); wait for it to end, stop it, or start a run "
        + "with another --name")
  }
}

/// The locked file, and the thread that renews its modification time.
private final class HeldFile: @unchecked Sendable {
  /// Seconds between renewals.
  private static let interval = 2.0
  private let descriptor: Int32
  private let name: String
  private let directory: DirectoryHandle
  private let condition = NSCondition()
  private var isReleased = false

  init(_ descriptor: Int32, named name: String, in directory: DirectoryHandle) {
    self.descriptor = descriptor
    self.name = name
    self.directory = directory
  }

  /// Replaces the file's content.
  func write(_ bytes: [UInt8]) throws(ReportError) {
    let path = "\(directory.path)/\(name)"
    guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
      throw .system("write", path: path, code: errno)
    }
    try AtomicFile.writeAll(bytes, to: descriptor, path: path)
  }

  func startRenewing() {
    let thread = Thread { [self] in renew() }
    thread.stackSize = 1 << 18
    thread.start()
  }

  private func renew() {
    condition.lock()
    defer { condition.unlock() }
    while !isReleased {
      _ = futimens(descriptor, nil)
      _ = condition.wait(until: Date(timeIntervalSinceNow: Self.interval))
    }
  }

  func release() {
    condition.lock()
    defer { condition.unlock() }
    guard !isReleased else { return }
    isReleased = true
    condition.signal()
    // Another process may have removed the file and created its own.
    if (try? directory.isOpen(descriptor, as: name)) == true { try? directory.removeFile(name) }
    close(descriptor)
  }
}
