import Files
import Foundation

/// The operating system's files.
///
/// Operations that change anything use directory descriptors. Below `root`, no component of a path may be a link;
/// without a root, only the last must not be a link.
public struct SystemFiles: FileLayer {
  private let root: String?

  /// - Parameter root: a directory that the user gave, by a path that may contain links; only this program writes below
  ///   it.
  public init(below root: String? = nil) { self.root = root }

  /// Calls `body` with the open directory of a path, and the name in it.
  private func at<Value>(
    _ path: String, _ body: (DirectoryHandle, String) throws(FileFault) -> Value
  ) throws(FileFault) -> Value {
    do throws(FileFault) {
      guard let root, path.hasPrefix("\(root)/") else {
        return try body(DirectoryHandle(Path(path).parent.text), Path(path).name)
      }
      var directory = try DirectoryHandle(root)
      let components = Path(String(path.dropFirst(root.count))).components
      for name in components.dropLast() { directory = try directory.directory(name) }
      return try body(directory, components.last ?? ".")
    } catch { throw FileFault(error.operation, path: path, number: error.number) }
  }

  public func createFile(_ path: String) throws(FileFault) -> any WritableFile {
    let descriptor = try at(path) { (directory, name) throws(FileFault) in try directory.createFile(name) }
    return SystemWritableFile(path: path, descriptor: descriptor)
  }

  public func openFile(_ path: String) throws(FileFault) -> any ReadableFile {
    // Without O_NONBLOCK, open() would wait for the other end of a named pipe.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileFault("open the file", path: path, number: errno) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw FileFault("read a file that is not regular", path: path, number: EINVAL)
    }
    return SystemReadableFile(path: path, descriptor: descriptor, byteCount: Int(status.st_size))
  }

  public func createDirectory(_ path: String) throws(FileFault) {
    try at(path) { (directory, name) throws(FileFault) in try directory.createDirectory(name) }
  }

  public func rename(_ source: String, to target: String) throws(FileFault) {
    try at(source) { (from, oldName) throws(FileFault) in
      try at(target) { (to, newName) throws(FileFault) in try from.rename(oldName, to: to, newName) }
    }
  }

  public func removeFile(_ path: String) throws(FileFault) {
    try at(path) { (directory, name) throws(FileFault) in try directory.removeFile(name) }
  }

  public func removeDirectory(_ path: String) throws(FileFault) {
    try at(path) { (directory, name) throws(FileFault) in try directory.removeDirectory(name) }
  }

  public func synchronizeDirectory(_ path: String) throws(FileFault) { try directory(path).synchronize() }

  public func names(in directory: String) throws(FileFault) -> [String] { try self.directory(directory).names() }

  public func ownNames(in directory: String) throws(FileFault) -> [String] {
    try at(directory) { (parent, name) throws(FileFault) in try parent.directory(name).names() }
  }

  public func claim(_ draft: String) -> AnyObject? {
    try? at(draft) { (parent, name) throws(FileFault) in
      let directory = try parent.directory(name)
      directory.claim()
      return directory
    }
  }

  public func clearLeftovers(in directory: String) {
    guard let handle = try? self.directory(directory) else { return }
    TemporaryName.clearLeftovers(in: handle)
  }

  /// Opens a directory, below the root without following links.
  private func directory(_ path: String) throws(FileFault) -> DirectoryHandle {
    guard let root, path.hasPrefix("\(root)/") else { return try DirectoryHandle(path) }
    return try at(path) { (parent, name) throws(FileFault) in try parent.directory(name) }
  }
}

private final class SystemWritableFile: WritableFile {
  let path: String
  private let descriptor: Int32

  init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(FileFault) -> Int {
    while true {
      let count = Foundation.write(descriptor, bytes.baseAddress, bytes.count)
      if count > 0 || bytes.isEmpty { return max(0, count) }
      guard count < 0, errno == EINTR else {
        throw FileFault("write", path: path, number: count == 0 ? ENOSPC : errno)
      }
    }
  }

  func synchronize() throws(FileFault) {
    guard fsync(descriptor) == 0 else { throw FileFault("sync", path: path, number: errno) }
  }

  func close() throws(FileFault) {
    guard Foundation.close(descriptor) == 0 else { throw FileFault("close", path: path, number: errno) }
  }
}

private final class SystemReadableFile: ReadableFile {
  let path: String
  let byteCount: Int
  private let descriptor: Int32

  init(path: String, descriptor: Int32, byteCount: Int) {
    self.path = path
    self.descriptor = descriptor
    self.byteCount = byteCount
  }

  deinit { close(descriptor) }

  func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileFault) -> Int {
    while true {
      let count = pread(descriptor, target.baseAddress, target.count, off_t(offset))
      if count >= 0 { return count }
      guard errno == EINTR else { throw FileFault("read", path: path, number: errno) }
    }
  }
}
