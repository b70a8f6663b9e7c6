import Foundation

/// Whole text files, checked to be UTF-8.
enum TextFile {
  private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// The bytes of a file without a byte order mark; it must exist, be readable and not be empty.
  static func bytes(at url: URL) throws(DataError) -> [UInt8] {
    let data: Data
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
      throw DataError(file: url.relativePath, problem: "no such file", remedy: "check the path")
    }
    if isDirectory.boolValue {
      throw DataError(file: url.relativePath, problem: "a directory", remedy: "name a file in it")
    }
    do {
      data = try Data(contentsOf: url)
    } catch {
      throw DataError(
        file: url.relativePath, problem: "cannot be read (\(error.localizedDescription))",
        remedy: "check its permissions")
    }
    if data.isEmpty {
      throw DataError(file: url.relativePath, problem: "the file is empty", remedy: "check that it was written whole")
    }
    let bytes = Array(data)
    return bytes.starts(with: byteOrderMark) ? Array(bytes.dropFirst(byteOrderMark.count)) : bytes
  }

  /// The text of a file; a fault of its UTF-8 names the line.
  static func text(at url: URL) throws(DataError) -> String {
    let bytes = try bytes(at: url)
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
