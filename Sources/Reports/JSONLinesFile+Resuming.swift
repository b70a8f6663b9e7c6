import Files
import Formats
import Foundation

extension JSONLinesFile {
  /// The contents of a file of records for a run that resumes after a step.
  package struct Resumption {
    /// The objects of the lines up to and including the step.
    package var lines: [[String: JSONValue]] = []
    /// Messages about moved lines and unreadable lines.
    package var remarks: [String] = []
  }

  /// The object of a line; nil if the line is not a JSON object in UTF-8.
  static func members(_ line: ArraySlice<UInt8>) -> [String: JSONValue]? {
    guard String(validating: line, as: UTF8.self) != nil else { return nil }
    return (try? JSONValue.parse(line))?.objectValue
  }

  /// Prepares the file at `path` for a run that resumes after `step`: moves the lines of later steps, which the run will
  /// write again, to `abandoned-<name>` in the same directory.
  ///
  /// All lines after the last line of a step ≤ `step` are moved. Damaged lines before it remain.
  package static func resume(_ path: String, after step: Int, format: String) throws(ReportError) -> Resumption {
    guard let bytes = FileManager.default.contents(atPath: path).map(Array.init) else { return Resumption() }
    let newline = UInt8(ascii: "\n")
    let parts = bytes.split(separator: newline, omittingEmptySubsequences: false)
    let lines = parts.dropLast()
    let members = lines.map { JSONLinesFile.members($0) }
    func isLater(_ line: [String: JSONValue]) -> Bool { (line["step"]?.integerValue).map { $0 > Int64(step) } ?? false }
    var kept = (members.lastIndex { $0.map { !isLater($0) } ?? false } ?? -1) + 1
    while kept < members.count, members[kept] == nil { kept += 1 }
    var result = Resumption(lines: members[..<kept].compactMap { $0 }.filter { !isLater($0) })
    let damaged = members[..<kept].indices.filter { members[$0] == nil && !lines[$0].isEmpty }
    if let first = damaged.first {
      let more = damaged.count == 1 ? "" : " (and \(damaged.count - 1) more)"
      result.remarks.append("\(path): line \(first + 1)\(more) is not valid JSON; it is kept but ignored")
    }
    let end = kept < lines.count ? lines[kept].startIndex : (parts.last?.startIndex ?? bytes.count)
    guard end < bytes.count else { return result }
    let place = Path(path).parent.appending("abandoned-\(Path(path).name)").text
    let abandoned = try JSONLinesFile(path: place, format: format)
    try abandoned.append(["abandoned_after_step": .integer(step)])
    try abandoned.append(lines: Array(bytes[end...]))
    try abandoned.synchronize()
    let file = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
    defer { if file >= 0 { close(file) } }
    guard file >= 0, ftruncate(file, off_t(end)) == 0 else {
      throw .system("cut off lines after step \(step)", path: path, code: errno)
    }
    let count = lines.count - kept + (parts.last?.isEmpty == false ? 1 : 0)
    result.remarks.append(
      "\(path): \(count) line\(count == 1 ? "" : "s") after step \(step) moved to \(place)")
    return result
  }
}
