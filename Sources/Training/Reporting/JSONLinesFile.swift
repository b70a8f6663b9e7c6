import Foundation
import Rollouts

/// A file of one JSON object a line, whose first line names its format; each line reaches the system whole.
///
/// Opening an existing file appends to it, after cutting off a last line that a crash left unfinished.
final class JSONLinesFile {
  let path: String
  private let descriptor: Int32

  init(path: String, format: String) throws(ReportError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system("create", path: path, code: errno) }
    let size = max(0, lseek(descriptor, 0, SEEK_END))
    let end = try Self.endOfLastLine(descriptor, size: size, path: path)
    if end < size {
      guard ftruncate(descriptor, end) == 0, lseek(descriptor, end, SEEK_SET) == end else {
        throw .system("cut off the unfinished last line", path: path, code: errno)
      }
    }
    if end == 0 { try append(["format": .text(format), "version": 1]) }
  }

  deinit { close(descriptor) }

  /// Cuts off the lines whose `step` is above `step`, and everything after the first of them.
  ///
  /// - Returns: the lines kept.
  static func keep(_ path: String, through step: Int) throws(ReportError) -> [[String: JSONValue]] {
    guard let bytes = FileManager.default.contents(atPath: path) else { return [] }
    var kept: [[String: JSONValue]] = []
    var end = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
      guard let members = (try? JSONValue.parse(line))?.objectValue else { break }
      if let number = members["step"]?.integerValue, number > Int64(step) { break }
      kept.append(members)
      end += line.count + 1
    }
    guard end < bytes.count else { return kept }
    guard truncate(path, off_t(end)) == 0 else {
      throw .system("cut off lines after step \(step)", path: path, code: errno)
    }
    return kept
  }

  func append(_ object: [String: JSONValue]) throws(ReportError) {
    try AtomicFile.writeAll(Array((JSONValue.object(object).serialized + "\n").utf8), to: descriptor, path: path)
  }

  /// Makes the lines so far durable.
  func synchronize() throws(ReportError) {
    // Pipes and devices have nothing to sync.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw .system("sync", path: path, code: errno)
    }
  }

  /// The offset after the last line break, searching backwards.
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
