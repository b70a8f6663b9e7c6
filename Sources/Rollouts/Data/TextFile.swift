import Foundation

/// Receives the bytes of a file as read, so that a later change can be detected.
public typealias ContentObserver = (UnsafeRawBufferPointer) -> Void

/// Text files in UTF-8, read as a whole.
enum TextFile {
  static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
  /// The bytes of one read.
  private static let readSize = 1 << 20
  /// The maximum bytes of a JSON list.
  private static let largestList = 4 << 30

  /// The bytes of a file without a byte order mark. The file must exist, be readable and not empty.
  ///
  /// - Parameters:
  ///   - longestLine: the maximum bytes of a line; a longer line is an error before it is read as a whole, unless the
  ///     file is a JSON list. Nil: no limit.
  ///   - observe: called with all bytes of the file.
  static func bytes(
    at url: URL, longestLine: Int? = nil, observe: ContentObserver = { _ in }
  ) throws(DataError) -> [UInt8] {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
      throw DataError(file: url.relativePath, problem: "no such file", remedy: "check the path")
    }
    if isDirectory.boolValue {
      throw DataError(file: url.relativePath, problem: "a directory", remedy: "name a file in it")
    }
    let bytes = try read(url, longestLine: longestLine)
    if bytes.isEmpty {
      throw DataError(
        file: url.relativePath, problem: "the file is empty", remedy: "check that it was written completely")
    }
    bytes.withUnsafeBytes(observe)
    return bytes.starts(with: byteOrderMark) ? Array(bytes.dropFirst(byteOrderMark.count)) : bytes
  }

  /// Whether the first character that is not white space begins a JSON list.
  static func isList(_ bytes: [UInt8]) -> Bool {
    let content = bytes.starts(with: byteOrderMark) ? bytes.dropFirst(byteOrderMark.count) : bytes[...]
    return content.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: "[")
  }

  /// Whether there is a file at the path and its permissions allow reading.
  static func isReadable(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
      && FileManager.default.isReadableFile(atPath: path)
  }

  private static func read(_ url: URL, longestLine: Int?) throws(DataError) -> [UInt8] {
    func unreadable(_ reason: String) -> DataError {
      DataError(file: url.relativePath, problem: "cannot be read (\(reason))", remedy: "check its permissions")
    }
    let handle: FileHandle
    do { handle = try FileHandle(forReadingFrom: url) } catch { throw unreadable(error.localizedDescription) }
    defer { try? handle.close() }
    var bytes: [UInt8] = []
    var (line, lineStart, isOneList) = (1, 0, false)
    while true {
      let next: Data?
      do { next = try handle.read(upToCount: readSize) } catch { throw unreadable(error.localizedDescription) }
      guard let next, !next.isEmpty else { return bytes }
      let start = bytes.count
      bytes.append(contentsOf: next)
      guard let longestLine else { continue }
      // A JSON list may be one line.
      if start == 0 { isOneList = isList(bytes) }
      if isOneList {
        guard bytes.count <= largestList else {
          throw DataError(
            file: url.relativePath, problem: "the JSON list is longer than \(largestList >> 30) GiB",
            remedy: "write one JSON object per line")
        }
        continue
      }
      for index in start..<bytes.count where bytes[index] == UInt8(ascii: "\n") {
        if index - lineStart > longestLine { break }
        (line, lineStart) = (line + 1, index + 1)
      }
      if bytes.count - lineStart > longestLine {
        throw DataError(
          file: url.relativePath, line: line, problem: "the line is longer than \(longestLine >> 20) MiB",
          remedy: "divide the line; a line is one object")
      }
    }
  }

  /// The text of a file; an error in its UTF-8 names the line.
  static func text(at url: URL, observe: ContentObserver = { _ in }) throws(DataError) -> String {
    let bytes = try bytes(at: url, observe: observe)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      var line = 1
      for content in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
        if String(validating: content, as: UTF8.self) == nil { break }
        line += 1
      }
      throw invalidEncoding(url, line: line)
    }
    return text
  }

  static func invalidEncoding(_ url: URL, line: Int) -> DataError {
    DataError(file: url.relativePath, line: line, problem: "not valid UTF-8", remedy: "convert the file to UTF-8")
  }
}
