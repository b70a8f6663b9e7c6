import Foundation

/// A file that appears under its final name complete and durable, or not at all.
///
/// Bytes go to a hidden temporary file in the same directory. `commit()` syncs it, renames it over the final name and
/// syncs the directory; an output that is dropped without `commit()` removes its temporary file.
package final class SafetensorsOutput {
  private let path: String
  private let temporaryPath: String
  private let descriptor: Int32
  private var byteCount = 0
  private var isCommitted = false

  /// Creates the temporary file beside `path`.
  convenience init(path: String) throws(SafetensorsError) {
    let directory = URL(fileURLWithPath: path).deletingLastPathComponent()
    let temporaryPath = directory.appendingPathComponent(".quillan-\(UUID().uuidString).partial").path
    let descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw SafetensorsError(
        code: errno == ENOSPC || errno == EDQUOT ? .diskFull : .inaccessible, path: path,
        problem: "cannot create a file in its directory (\(String(cString: strerror(errno))))",
        remedy: "check that the directory exists, is writable and has space")
    }
    self.init(path: path, temporaryPath: temporaryPath, descriptor: descriptor)
  }

  /// Takes over an open `descriptor`; `temporaryPath` is what `commit()` renames.
  package init(path: String, temporaryPath: String, descriptor: Int32) {
    self.path = path
    self.temporaryPath = temporaryPath
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
    if !isCommitted { unlink(temporaryPath) }
  }

  /// Appends `bytes`. The `tensor` is named in the error where it fails.
  package func append(_ bytes: UnsafeRawBufferPointer, tensor: String?) throws(SafetensorsError) {
    var done = 0
    while done < bytes.count {
      let wanted = min(bytes.count - done, 1 << 30)
      let count = write(descriptor, bytes.baseAddress! + done, wanted)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw failure(errno, doing: "write", tensor: tensor) }
      done += count
      byteCount += count
    }
  }

  /// Makes the file durable and gives it its final name; nothing may be appended afterwards.
  package func commit() throws(SafetensorsError) {
    precondition(!isCommitted, "\(path) was committed already")
    guard fsync(descriptor) == 0 else { throw failure(errno, doing: "sync") }
    guard rename(temporaryPath, path) == 0 else { throw failure(errno, doing: "rename the temporary file to") }
    isCommitted = true
    try syncDirectory()
  }

  /// A rename survives a power cut only once its directory is on disk. File systems without that notion say EINVAL.
  private func syncDirectory() throws(SafetensorsError) {
    let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
    let directoryDescriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directoryDescriptor >= 0 else { throw failure(errno, doing: "sync the directory of") }
    defer { close(directoryDescriptor) }
    guard fsync(directoryDescriptor) == 0 || errno == EINVAL else {
      throw failure(errno, doing: "sync the directory of")
    }
  }

  private func failure(_ number: Int32, doing action: String, tensor: String? = nil) -> SafetensorsError {
    let isFull = number == ENOSPC || number == EDQUOT || number == EFBIG
    let consequence = isCommitted ? "it may not survive a power cut" : "what was under its name before is unchanged"
    return SafetensorsError(
      code: isFull ? .diskFull : .writeFailed, path: path, tensor: tensor, offset: byteCount,
      problem: "cannot \(action) the file (\(String(cString: strerror(number)))), \(consequence)",
      remedy: isFull ? "free some space or choose another directory" : "check the disk and the directory")
  }
}
