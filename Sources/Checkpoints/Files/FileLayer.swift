import Files

/// The file operations of saving and loading, so that tests can make each of them fail.
///
/// Saving relies on three properties: a file's bytes survive a power cut once `synchronize` has returned, a name once
/// its directory has been synchronized, and `rename` is atomic.
public protocol FileLayer: Sendable {
  /// Creates a file that must not exist yet.
  func createFile(_ path: String) throws(FileFault) -> any WritableFile
  /// Opens a regular file.
  func openFile(_ path: String) throws(FileFault) -> any ReadableFile
  /// Creates a directory whose parent exists.
  func createDirectory(_ path: String) throws(FileFault)
  func rename(_ source: String, to target: String) throws(FileFault)
  func removeFile(_ path: String) throws(FileFault)
  /// Removes an empty directory.
  func removeDirectory(_ path: String) throws(FileFault)
  func synchronizeDirectory(_ path: String) throws(FileFault)
  /// The names in a directory, sorted.
  func names(in directory: String) throws(FileFault) -> [String]
  /// The names in a directory whose files will be removed: a link to a directory is an error.
  func ownNames(in directory: String) throws(FileFault) -> [String]
  /// Tells other processes that a draft, a directory with a temporary name, is being written, for the life of the
  /// result.
  func claim(_ draft: String) -> AnyObject?
  /// Removes drafts in `directory` of processes that have ended.
  func clearLeftovers(in directory: String)
}

extension FileLayer {
  public func ownNames(in directory: String) throws(FileFault) -> [String] { try names(in: directory) }
  public func claim(_ draft: String) -> AnyObject? { nil }
  public func clearLeftovers(in directory: String) {}
}

/// A file being written, front to back.
public protocol WritableFile: AnyObject, Sendable {
  /// Appends at least one of the bytes and returns how many.
  func write(_ bytes: UnsafeRawBufferPointer) throws(FileFault) -> Int
  /// Makes the bytes so far durable.
  func synchronize() throws(FileFault)
  /// Ends writing; nothing may be called afterwards.
  func close() throws(FileFault)
}

/// A file open for reading at any offset, by any thread.
public protocol ReadableFile: AnyObject, Sendable {
  var byteCount: Int { get }
  /// Reads at most `target.count` bytes at `offset` and returns how many; 0 at the end.
  func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileFault) -> Int
}

extension WritableFile {
  /// Appends all bytes, in as many calls as the system needs.
  func writeAll(_ bytes: UnsafeRawBufferPointer) throws(FileFault) {
    var done = 0
    while done < bytes.count {
      done += try write(UnsafeRawBufferPointer(rebasing: bytes[done..<min(bytes.count, done + 1 << 30)]))
    }
  }
}

extension WritableFile {
  /// Appends the bytes of an array.
  func writeAll(_ bytes: [UInt8]) throws(FileFault) {
    let result: Result<Void, FileFault> = bytes.withUnsafeBytes { bytes in
      do throws(FileFault) { return .success(try writeAll(bytes)) } catch { return .failure(error) }
    }
    try result.get()
  }
}

extension ReadableFile {
  /// The bytes of a range; nil if the file is shorter.
  func bytes(_ range: Range<Int>) throws(FileFault) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: range.count)
    let result: Result<Bool, FileFault> = bytes.withUnsafeMutableBytes { target in
      do throws(FileFault) { return .success(try readAll(into: target, at: range.lowerBound)) } catch {
        return .failure(error)
      }
    }
    return try result.get() ? bytes : nil
  }

  /// Fills `target` from `offset` on; false if the file is shorter.
  func readAll(into target: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileFault) -> Bool {
    var done = 0
    while done < target.count {
      let end = min(target.count, done + 1 << 30)
      let count = try read(into: UnsafeMutableRawBufferPointer(rebasing: target[done..<end]), at: offset + done)
      if count == 0 { return false }
      done += count
    }
    return true
  }
}

extension FileLayer {
  /// Writes a small file durably; its name is durable once its directory is synchronized.
  func writeFile(_ path: String, _ bytes: [UInt8]) throws(FileFault) {
    let file = try createFile(path)
    try file.writeAll(bytes)
    try file.synchronize()
    try file.close()
  }

  /// The contents of a small file; nil if it has more than `limit` bytes or shrank meanwhile.
  func readFile(_ path: String, limit: Int) throws(FileFault) -> [UInt8]? {
    let file = try openFile(path)
    guard file.byteCount <= limit else { return nil }
    return try file.bytes(0..<file.byteCount)
  }

  /// Removes a directory that this program made, and the files in it that pass `isOwn`. If anything else is in it, the
  /// directory stays.
  func removeTree(_ path: String, _ isOwn: (String) -> Bool = { _ in true }) throws(FileFault) {
    for name in try ownNames(in: path) where isOwn(name) { try removeFile("\(path)/\(name)") }
    try removeDirectory(path)
  }
}
