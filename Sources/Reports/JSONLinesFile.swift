import Formats
import Foundation

/// A file with one JSON object per line, whose first line names the format. Each line is written in one piece.
///
/// Lines are never changed. Opening an existing file first removes an incomplete last line, which a crash leaves, and then
/// appends. `JSONLinesFile.resume` moves the lines that a resumed run will write again to another file.
package final class JSONLinesFile {
  let path: String
  private let descriptor: Int32

  package init(path: String, format: String) throws(ReportError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .system("create", path: path, code: errno) }
    let size = max(0, lseek(descriptor, 0, SEEK_END))
    let end = try Self.endOfLastLine(descriptor, size: size, path: path)
    if end < size {
      guard ftruncate(descriptor, end) == 0, lseek(descriptor, end, SEEK_SET) == end else {
        throw .system("remove the incomplete last line", path: path, code: errno)
      }
    }
    if end == 0 { try append(["format": .text(format), "version": 1]) }
  }

  deinit { close(descriptor) }

  package func append(_ object: [String: JSONValue]) throws(ReportError) { try append(lines: Self.line(object)) }

  /// The line of an object, with its line break.
  static func line(_ object: [String: JSONValue]) -> [UInt8] {
    Array((JSONValue.object(object).serialized + "\n").utf8)
  }

  /// Appends lines unchanged; a line break is added after the last line if it has none.
  package func append(lines: [UInt8]) throws(ReportError) {
    let end = lines.last == UInt8(ascii: "\n") ? [] : [UInt8(ascii: "\n")]
    try AtomicFile.writeAll(lines + end, to: descriptor, path: path)
  }

  /// Makes all lines durable.
  package func synchronize() throws(ReportError) {
    // Pipes and devices cannot be synchronized.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw .system("sync", path: path, code: errno)
    }
  }

  /// The offset after the last line break, searched backwards.
  private static func endOfLastLine(_ descriptor: Int32, size: Int, path: String) throws(ReportError) -> Int {
    var end = size
    var block = [UInt8](repeating: 0, count: 4096)
    while end > 0 {
      let start = max(0, end - block.count)
      let count = pread(descriptor, &block, end - start, start)
      guard count == end - start else { throw .system("read", path: path, code: errno) }
      if let index = block[..<count].lastIndex(of: UInt8(ascii: "\n")) { return start + index + 1 }
      end = start
    }
    return 0
  }
}
