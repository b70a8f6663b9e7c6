import Formats
import Foundation

/// Files with one JSON object on each line, or with one JSON list of objects. Blank lines are skipped.
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
  /// - Throws: `DataError` for a missing, empty or blank file, a form that cannot be read, or a line that is too long,
  ///   not UTF-8, not JSON, or not an object.
  static func lines(at url: URL, observe: ContentObserver = { _ in }) throws(DataError) -> [Line] {
    try InputForm.refuse(url)
    let bytes = try TextFile.bytes(at: url, longestLine: longestLine, observe: observe)
    if TextFile.isList(bytes) { return try elements(bytes, url) }
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

  /// The objects of a file that is one JSON list, each with the line on which it begins.
  private static func elements(_ bytes: [UInt8], _ url: URL) throws(DataError) -> [Line] {
    let result = bytes.withUnsafeBytes { text in
      Result<[Line], DataError> { () throws(DataError) in
        var scanner = JSONScanner(text)
        var lines: [Line] = []
        var (number, counted) = (1, 0)
        func line(at position: Int) -> Int {
          number += text[counted..<position].count { $0 == UInt8(ascii: "\n") }
          counted = position
          return number
        }
        func fault(_ position: Int, _ problem: String) -> DataError {
          DataError(
            file: url.relativePath, line: line(at: max(counted, min(position, text.count))), problem: problem,
            remedy: "write a list of JSON objects, or one object per line")
        }
        do throws(JSONSyntaxError) {
          try scanner.expect("[")
          while try scanner.another(before: "]", isFirst: lines.isEmpty) {
            scanner.skipSpace()
            let before = scanner.position
            let start = line(at: before)
            let value = try scanner.value(.exactNumbers)
            guard let members = value.objectValue else {
              throw scanner.fault("expected an object, found \(value.kind)", at: before)
            }
            lines.append(Line(number: start, members: members))
          }
          try scanner.expectEnd()
        } catch { throw fault(error.position, "not a list of JSON objects: \(error.problem)") }
        if lines.isEmpty { throw fault(0, "an empty list") }
        return lines
      }
    }
    return try result.get()
  }

  /// The string in a member (`PromptMembers`); nil if the member is absent and optional.
  ///
  /// - Parameter key: the key of the configuration that names the member.
  static func text(
    _ name: String, of line: Line, isRequired: Bool, file: URL, key: String
  ) throws(DataError) -> String? {
    guard let value = PromptMembers.value(name, of: line.members) else {
      if !isRequired { return nil }
      let others = line.members.keys.sorted().prefix(8).joined(separator: ", ")
      throw DataError(
        file: file.relativePath, line: line.number, problem: "'\(name)' is missing",
        remedy: others.isEmpty
          ? "add it as a string" : "add it as a string, or name another member in \(key) (the line has \(others))")
    }
    guard let text = value.textValue else {
      throw DataError(
        file: file.relativePath, line: line.number, problem: "'\(name)' is \(value.kind)",
        remedy: "write it as a string")
    }
    return text
  }
}
