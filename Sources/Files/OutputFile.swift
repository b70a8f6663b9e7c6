import Glibc

/// A file that appears under its final name complete and durable, or not at all. All outputs are written this way.
///
/// Bytes go to a temporary file in the same directory, with an unpredictable name and readable only by its owner.
/// `commit()` syncs it, gives it the mode that the umask allows and its final name, and syncs the directory; an output
/// that is released without `commit()` removes its temporary file. The next output into the directory removes temporary
/// files of killed processes. Devices and pipes are written to directly.
public final class OutputFile {
  /// The path as given.
  public let path: String
  public private(set) var byteCount = 0
  /// The size of the finished file; nil for a device or a pipe.
  public var fileSize: Int? { isStream ? nil : byteCount }
  private let policy: OutputPolicy
  private let descriptor: Int32
  private let draft: Draft?
  private var isCommitted = false
  private var isStream: Bool { draft == nil }

  /// The temporary file, and the name and mode that it gets.
  private struct Draft {
    let directory: DirectoryHandle
    let temporary: String
    let name: String
    let mode: mode_t
  }

  /// - Throws: `OutputError` if `policy` does not allow writing there, or the directory cannot take a file.
  public init(_ path: String, _ policy: OutputPolicy) throws(OutputError) {
    self.path = path
    self.policy = policy
    switch try OutputTarget(path, policy) {
    case .descriptor(let number):
      draft = nil
      descriptor = fcntl(number, F_DUPFD_CLOEXEC, 3)
    case .stream(let target):
      draft = nil
      descriptor = open(target, O_WRONLY | O_NOCTTY | O_CLOEXEC)
    case .file(let directory, let name, let old):
      let made = Result<(Draft, Int32), FileFault> { () throws(FileFault) in
        try Self.makeDraft(directory, name, old, policy)
      }
      switch made {
      case .success(let (draft, descriptor)): (self.draft, self.descriptor) = (draft, descriptor)
      case .failure(let fault):
        throw OutputError(
          code: fault.isFull ? .diskFull : .inaccessible, path: path,
          problem: "cannot create a file in its directory (\(String(cString: strerror(fault.number))))",
          remedy: "check that the directory exists, is writable and has space")
      }
      return
    }
    guard descriptor >= 0 else {
      throw OutputError(
        code: .inaccessible, path: path, problem: "cannot open it for writing (\(String(cString: strerror(errno))))",
        remedy: "check the kind of file and its permissions")
    }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    guard let draft, !isCommitted else { return }
    unlinkat(draft.directory.descriptor, draft.temporary, 0)
  }

  /// Checks in advance that an output can be written: that `policy` allows what is at the path, and that its directory
  /// accepts files.
  ///
  /// - Throws: `OutputError`, as writing would.
  public static func check(_ path: String, _ policy: OutputPolicy) throws(OutputError) {
    guard case .file(let directory, _, _) = try OutputTarget(path, policy) else { return }
    guard access(directory, W_OK | X_OK) == 0 else {
      throw OutputError(
        code: .inaccessible, path: path,
        problem: "cannot create a file in its directory (\(String(cString: strerror(errno))))",
        remedy: "check that the directory exists, is writable and has space")
    }
  }

  /// Whether a path that the user gave is this process's standard output.
  public static func isStandardOutput(_ path: String) -> Bool {
    guard case .descriptor(STDOUT_FILENO)? = try? OutputTarget(path, .new) else { return false }
    return true
  }

  private static func makeDraft(_ directory: String, _ name: String, _ old: FileIdentity?, _ policy: OutputPolicy)
    throws(FileFault) -> (Draft, Int32)
  {
    let handle = try DirectoryHandle(directory)
    TemporaryName.clearLeftovers(in: handle)
    let mode = policy == .replacing ? old?.mode ?? CreationMode.file : CreationMode.file
    while true {
      let temporary = TemporaryName.make()
      let file = try handle.createFile(temporary, mode: 0o600)
      // The lock tells other processes that this process is alive. A process that looked before the lock has removed
      // the file.
      _ = flock(file, LOCK_EX)
      guard FileIdentity.of(file)?.links == 1 else {
        close(file)
        continue
      }
      return (Draft(directory: handle, temporary: temporary, name: name, mode: mode), file)
    }
  }

  /// Appends the bytes.
  public func append(_ bytes: UnsafeRawBufferPointer) throws(OutputError) {
    var done = 0
    while done < bytes.count {
      let count = write(descriptor, bytes.baseAddress.map { $0 + done }, min(bytes.count - done, 1 << 30))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw failure("write the file", count == 0 ? ENOSPC : errno) }
      done += count
      byteCount += count
    }
  }

  /// Appends the bytes of a sequence.
  public func append(_ bytes: some Sequence<UInt8>) throws(OutputError) {
    let array = Array(bytes)
    let result = array.withUnsafeBytes { buffer in
      Result<Void, OutputError> { () throws(OutputError) in try append(buffer) }
    }
    try result.get()
  }

  /// Makes the file durable and gives it its final name; nothing may be appended afterwards.
  public func commit() throws(OutputError) {
    precondition(!isCommitted, "\(path) was committed already")
    // Pipes and devices have nothing to sync.
    guard fsync(descriptor) == 0 || (isStream && [EINVAL, EROFS, ENOTSUP].contains(errno)) else {
      throw failure("sync the file", errno)
    }
    guard let draft else {
      isCommitted = true
      return
    }
    guard fchmod(descriptor, draft.mode) == 0 else { throw failure("set the mode of the file", errno) }
    try rename(draft)
    isCommitted = true
    do { try draft.directory.synchronize() } catch { throw failure("sync the directory of the file", error.number) }
  }

  /// Gives the temporary file its final name.
  private func rename(_ draft: Draft) throws(OutputError) {
    let directory = draft.directory.descriptor
    if policy == .new {
      // Linking fails if the name has been taken meanwhile.
      if linkat(directory, draft.temporary, directory, draft.name, 0) == 0 {
        unlinkat(directory, draft.temporary, 0)
        return
      }
      guard errno != EEXIST else { throw Self.takenMeanwhile(path) }
    }
    // For file systems without links, and for policies that replace.
    let now: FileIdentity?
    do { now = try draft.directory.identity(draft.name) } catch { throw failure("inspect the file", error.number) }
    guard now == nil || (now?.kind == .regular && policy != .new) else { throw Self.takenMeanwhile(path) }
    guard renameat(directory, draft.temporary, directory, draft.name) == 0 else {
      throw failure("rename the temporary file to the file", errno)
    }
  }

  private static func takenMeanwhile(_ path: String) -> OutputError {
    .refused(path, "another file appeared at this path meanwhile and is not replaced", "name another file")
  }

  private func failure(_ operation: String, _ number: Int32) -> OutputError {
    let consequence =
      isStream
      ? "after \(byteCount) bytes"
      : isCommitted ? "it may not survive a power cut" : "what was under its name before is unchanged"
    return .writing(FileFault(operation, path: path, number: number), path: path, consequence: consequence)
  }
}

/// File modes.
enum CreationMode {
  /// The mode of a new file: read and write for all, less the umask.
  static let file: mode_t = 0o666 & ~umask

  /// The process's umask, from the kernel: umask() can only be read by setting it, which other threads would see.
  private static let umask: mode_t = {
    let line = SmallFile.text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("Umask:") }
    let digits = line?.split(whereSeparator: \.isWhitespace).last
    return digits.flatMap { mode_t($0, radix: 8) } ?? 0o022
  }()
}
