import Foundation

/// Writes files that exist under their final name only when they are whole and on the disk.
public enum AtomicFile {
  /// Writes bytes to a temporary file in the same directory, syncs it, renames it over `path`, syncs the directory.
  ///
  /// A crash at any instant leaves the old file or the new one.
  /// - Throws: `ReportError`; the temporary file is removed and the old file untouched.
  public static func write(_ bytes: some Sequence<UInt8>, to path: String) throws(ReportError) {
    let temporary = "\(path).\(getpid()).partial"
    do throws(ReportError) {
      try writeWhole(Array(bytes), to: temporary)
      guard rename(temporary, path) == 0 else { throw .system("rename the finished file", path: path, code: errno) }
    } catch {
      unlink(temporary)
      throw error
    }
    let directory = (path as NSString).deletingLastPathComponent
    try syncDirectory(directory.isEmpty ? "." : directory)
  }

  /// Writes text in UTF-8.
  ///
  /// - Throws: as for bytes.
  public static func write(_ text: String, to path: String) throws(ReportError) {
    try write(text.utf8, to: path)
  }

  /// Makes the names in a directory durable.
  public static func syncDirectory(_ path: String) throws(ReportError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY)
    guard descriptor >= 0 else { throw .system("open the directory", path: path, code: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .system("sync the directory", path: path, code: errno) }
  }

  private static func writeWhole(_ bytes: [UInt8], to path: String) throws(ReportError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system("create", path: path, code: errno) }
    do throws(ReportError) {
      try writeAll(bytes, to: descriptor, path: path)
      guard fsync(descriptor) == 0 else { throw .system("sync", path: path, code: errno) }
    } catch {
      close(descriptor)
      throw error
    }
    guard close(descriptor) == 0 else { throw .system("close", path: path, code: errno) }
  }

  /// Writes every byte, whatever the system takes at a time.
  static func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(ReportError) {
    var offset = 0
    while offset < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Foundation.write(descriptor, buffer.baseAddress.map { $0 + offset }, buffer.count - offset)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw .system("write", path: path, code: errno)
      }
      offset += count
    }
  }
}
