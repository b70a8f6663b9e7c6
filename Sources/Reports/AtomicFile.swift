import Files
import Foundation

/// Writes files that appear under their final name only when they are complete and on the disk.
public enum AtomicFile {
  /// Writes bytes by an `OutputFile`: a crash at any time leaves either the old or the new file.
  ///
  /// - Parameter policy: what the file may replace.
  /// - Throws: `ReportError`; the old file is then unchanged.
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
  /// - Throws: `ReportError`; the old file is then unchanged.
  public static func write(_ text: String, to path: String, policy: OutputPolicy = .own) throws(ReportError) {
    try write(text.utf8, to: path, policy: policy)
  }

  /// Makes the directory entries durable.
  public static func syncDirectory(_ path: String) throws(ReportError) {
    do throws(FileFault) { try DirectoryHandle(path).synchronize() } catch { throw ReportError(error) }
  }

  /// Writes all bytes, in several system calls if necessary.
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
