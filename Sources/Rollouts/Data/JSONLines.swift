import Formats
import Foundation

/// Files with one JSON object on each line. Blank lines are skipped.
enum JSONLines {
  /// The maximum bytes of a line; reading a line takes about four times as much memory.
  static let longestLine = 64 << 20
  /// File extensions of JSON Lines.
  static let pathExtensions: Set<String> = ["jsonl", "ndjson", "jsonlines", "jl"]

  struct Line {
    /// From 1.
    let number: Int
    let members: [String: JSONValue]
  }

  /// The objects of a file.
  ///
  /// - Throws: `DataError` for a missing, empty or blank file, or a line that is too long, not UTF-8, not JSON, or not
  ///   an object.
  static func lines(at url: URL, observe: ContentObserver = { _ in }) throws(DataError) -> [Line] {
    let bytes = try TextFile.bytes(at: url, longestLine: longestLine, observe: observe)
    try refuseList(bytes, url)
    var lines: [Line] = []
    var number = 0
    for var content in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      // Concatenated files contain the byte order mark of each.
      if content.starts(with: TextFile.byteOrderMark) { content = content.dropFirst(TextFile.byteOrderMark.count) }
      if content.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
      if String(validating: content, as: UTF8.self) == nil { throw TextFile.invalidEncoding(url, line: number) }
      let value: JSONValue
      do {
        value = try JSONValue.parse(content, .exactNumbers)
      } catch {
        throw DataError(
          file: url.relativePath, line: number, problem: "not JSON: \(error)", remedy: "write one JSON object per line")
      }
      guard let members = value.objectValue else {
        throw DataError(
          file: url.relativePath, line: number, problem: "expected an object, found \(value.kind)",
          remedy: "write one JSON object per line")
      }
      lines.append(Line(number: number, members: members))
    }
    if lines.isEmpty {
      throw DataError(file: url.relativePath, problem: "only blank lines", remedy: "write one JSON object per line")
    }
    return lines
  }

  /// Refuses a file that is one JSON list, a common form of data sets.
  private static func refuseList(_ bytes: [UInt8], _ url: URL) throws(DataError) {
    let space: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
    guard let first = bytes.firstIndex(where: { !space.contains($0) }), bytes[first] == UInt8(ascii: "[") else {
      return
    }
    throw DataError(
      file: url.relativePath, line: 1 + bytes[..<first].count { $0 == 0x0A }, problem: "one JSON list, not JSON Lines",
      remedy: "write one JSON object per line: jq -c '.[]' FILE > FILE.jsonl")
  }

  /// The string under a key; nil if the key is absent and optional.
  static func text(_ key: String, of line: Line, isRequired: Bool, file: URL) throws(DataError) -> String? {
    guard let value = line.members[key] else {
      if !isRequired { return nil }
      throw DataError(
        file: file.relativePath, line: line.number, problem: "'\(key)' is missing", remedy: "add it as a string")
    }
    guard let text = value.textValue else {
      throw DataError(
        file: file.relativePath, line: line.number, problem: "'\(key)' is \(value.kind)", remedy: "write it as a string"
      )
    }
    return text
  }
}
