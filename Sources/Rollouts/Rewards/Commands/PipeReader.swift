import Foundation

/// Splits what arrives on a non-blocking pipe into lines.
package struct PipeReader {
  private var bytes: [UInt8] = []
  /// Whether the other end is open.
  package private(set) var isOpen = true
  /// The maximum bytes read at once, so that a flood of output does not delay other work.
  private static let largestRead = 1 << 20

  package init() {}

  /// The number of bytes after the last line break.
  package var unread: Int { bytes.count }

  /// Reads as much as possible without blocking, and returns the complete lines that are not empty.
  package mutating func read(_ pipe: Int32) -> [String] {
    var lines: [String] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    var left = Self.largestRead
    while left > 0 {
      let count = Foundation.read(pipe, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        isOpen = count < 0 && errno == EAGAIN
        break
      }
      left -= count
      bytes += block[..<count]
      guard block[..<count].contains(UInt8(ascii: "\n")), let last = bytes.lastIndex(of: UInt8(ascii: "\n")) else {
        continue
      }
      lines += bytes[..<last].split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
      bytes.removeFirst(last + 1)
    }
    return lines
  }

  /// Removes and returns the bytes after the last line break, if there are any.
  package mutating func takeRest() -> [String] {
    defer { bytes = [] }
    return bytes.isEmpty ? [] : [String(decoding: bytes, as: UTF8.self)]
  }
}
