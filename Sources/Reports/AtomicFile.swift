import Files
import Foundation

/// Writes files that exist under their final name only when they are whole and on the disk.
public enum AtomicFile {
  /// Writes bytes as an `OutputFile` does: a crash at any instant leaves the old file or the new one.
  ///
  /// - Parameter policy: what the file may stand in the place of.
  /// - Throws: `ReportError`; the old file is then untouched.
  public static func write(
    _ bytes: some Sequence<UInt8>, to path: String, policy: OutputPolicy = .own
  ) throws(ReportError) {
    do throws(OutputError) {
      let file = try OutputFile(path, policy)
      try file.append(bytes)
      try file.commit()
    } catch { throw ReportError(error) }
  }

  /// Writes text in UTF-8.
  ///
  /// - Throws: as for bytes.
  public static func write(_ text: String, to path: String, policy: OutputPolicy = .own) throws(ReportError) {
    try write(text.utf8, to: path, policy: policy)
  }

  /// Makes the names in a directory durable.
  public static func syncDirectory(_ path: String) throws(ReportError) {
    do throws(FileFault) { try DirectoryHandle(path).synchronize() } catch { throw ReportError(error) }
  }

  /// Writes every byte, whatever the system takes at a time.
  package static func writeAll(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(ReportError) {
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
