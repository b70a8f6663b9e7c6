import Glibc

/// An open directory. Its methods do not follow links, so they never touch anything outside the directory.
public final class DirectoryHandle: Sendable {
  public let path: String
  let descriptor: Int32
  private static let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC

  /// Opens a directory by a path that the user gave, whose components may be links.
  public init(_ path: String) throws(FileFault) {
    descriptor = open(path, Self.flags)
    self.path = path
    guard descriptor >= 0 else { throw FileFault("open the directory", path: path, number: errno) }
  }

  private init(_ parent: DirectoryHandle, _ name: String) throws(FileFault) {
    path = "\(parent.path)/\(name)"
    descriptor = openat(parent.descriptor, name, Self.flags | O_NOFOLLOW)
    guard descriptor >= 0 else { throw FileFault("open the directory", path: path, number: errno) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Opens a directory in this one; a link to a directory is an error.
  public func directory(_ name: String) throws(FileFault) -> DirectoryHandle { try DirectoryHandle(self, name) }

  private func fault(_ operation: String, _ name: String) -> FileFault {
    FileFault(operation, path: "\(path)/\(name)", number: errno)
  }

  /// Creates a file that must not exist yet.
  ///
  /// - Returns: its descriptor.
  public func createFile(_ name: String, mode: mode_t = 0o666) throws(FileFault) -> Int32 {
    let file = openat(descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
    guard file >= 0 else { throw fault("create the file", name) }
    return file
  }

  /// Opens a file for reading and writing and creates it if it is missing; a link is an error.
  ///
  /// - Returns: its descriptor.
  public func openFile(_ name: String, mode: mode_t = 0o666) throws(FileFault) -> Int32 {
    let file = openat(descriptor, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode)
    guard file >= 0 else { throw fault("open the file", name) }
    return file
  }

  public func createDirectory(_ name: String) throws(FileFault) {
    guard mkdirat(descriptor, name, 0o777) == 0 else { throw fault("create the directory", name) }
  }

  public func rename(_ name: String, to target: DirectoryHandle, _ newName: String) throws(FileFault) {
    guard renameat(descriptor, name, target.descriptor, newName) == 0 else {
      throw FileFault("rename '\(path)/\(name)' to this path", path: "\(target.path)/\(newName)", number: errno)
    }
  }

  public func removeFile(_ name: String) throws(FileFault) {
    guard unlinkat(descriptor, name, 0) == 0 else { throw fault("remove the file", name) }
  }

  /// Removes an empty directory.
  public func removeDirectory(_ name: String) throws(FileFault) {
    guard unlinkat(descriptor, name, AT_REMOVEDIR) == 0 else { throw fault("remove the directory", name) }
  }

  /// Removes a directory and its contents; of a link, only the link is removed.
  public func removeAll(_ name: String) throws(FileFault) {
    let inner = try directory(name)
    for entry in try inner.names() {
      if try inner.identity(entry)?.kind == .directory {
        try inner.removeAll(entry)
      } else {
        try inner.removeFile(entry)
      }
    }
    try removeDirectory(name)
  }

  /// The identity of a name in the directory; nil if there is no such name.
  public func identity(_ name: String) throws(FileFault) -> FileIdentity? {
    var status = stat()
    if fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return FileIdentity(status) }
    guard errno == ENOENT else { throw fault("inspect the file", name) }
    return nil
  }

  /// Whether a name in the directory is that of this open file.
  public func isOpen(_ file: Int32, as name: String) throws(FileFault) -> Bool {
    guard let named = try identity(name), let opened = FileIdentity.of(file) else { return false }
    return named.isSame(opened)
  }

  /// When a file was last written, without the file system's cache; nil if there is no such name.
  public func modificationTime(_ name: String) throws(FileFault) -> timespec? {
    // Opening makes network file systems ask the server.
    let file = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    if file < 0, errno == ENOENT { return nil }
    guard file >= 0 else { throw fault("open the file", name) }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw fault("inspect the file", name) }
    return status.st_mtim
  }

  /// Locks the directory for the life of this handle, which tells other processes that its owner is alive.
  public func claim() { _ = flock(descriptor, LOCK_EX) }

  /// Makes the directory's names durable.
  public func synchronize() throws(FileFault) {
    // File systems that cannot sync a directory return EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw FileFault("sync the directory", path: path, number: errno)
    }
  }

  /// The names in the directory, sorted.
  public func names() throws(FileFault) -> [String] {
    let failed = { FileFault("list the directory", path: self.path, number: $0) }
    // Reading moves the position of an open file description, so the stream gets a new one.
    let copy = openat(descriptor, ".", Self.flags)
    guard copy >= 0 else { throw failed(errno) }
    guard let stream = fdopendir(copy) else {
      let number = errno
      close(copy)
      throw failed(number)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else { break }
      // The name ends at its NUL: the memory behind it need not be readable.
      let offset = MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0
      let start = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self)
      let name = String(cString: start)
      if name != ".", name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw failed(errno) }
    return names.sorted()
  }
}
