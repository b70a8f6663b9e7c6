import Foundation

/// The operating system's files.
public struct SystemFiles: FileLayer {
  public init() {}

  public func createFile(_ path: String) throws(FileFault) -> any WritableFile {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw FileFault("create the file", path: path, number: errno) }
    return SystemWritableFile(path: path, descriptor: descriptor)
  }

  public func openFile(_ path: String) throws(FileFault) -> any ReadableFile {
    // Without O_NONBLOCK a named pipe in a file's place would be waited for.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileFault("open the file", path: path, number: errno) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw FileFault("read what is no regular file", path: path, number: EINVAL)
    }
    return SystemReadableFile(path: path, descriptor: descriptor, byteCount: Int(status.st_size))
  }

  public func createDirectory(_ path: String) throws(FileFault) {
    guard mkdir(path, 0o755) == 0 else { throw FileFault("create the directory", path: path, number: errno) }
  }

  public func rename(_ source: String, to target: String) throws(FileFault) {
    guard Foundation.rename(source, target) == 0 else {
      throw FileFault("rename '\(source)' to this", path: target, number: errno)
    }
  }

  public func removeFile(_ path: String) throws(FileFault) {
    guard unlink(path) == 0 else { throw FileFault("remove the file", path: path, number: errno) }
  }

  public func removeDirectory(_ path: String) throws(FileFault) {
    guard rmdir(path) == 0 else { throw FileFault("remove the directory", path: path, number: errno) }
  }

  public func synchronizeDirectory(_ path: String) throws(FileFault) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileFault("open the directory", path: path, number: errno) }
    defer { close(descriptor) }
    // File systems without the notion say EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw FileFault("sync the directory", path: path, number: errno)
    }
  }

  public func names(in directory: String) throws(FileFault) -> [String] {
    guard let stream = opendir(directory) else {
      throw FileFault("list the directory", path: directory, number: errno)
    }
    defer { closedir(stream) }
    var names: [String] = []
    let start = MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 0
    while let entry = readdir(stream) {
      // An entry ends with its name: all of a `dirent` would be more than there is.
      let name = String(cString: (UnsafeRawPointer(entry) + start).assumingMemoryBound(to: CChar.self))
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
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
