import Configuration
import Files
import Formats
import Foundation

/// The contents of a run directory for a report. An unfinished run is read as far as it was written.
public struct RunContent: Sendable {
  /// The last component of the path.
  public let name: String
  public let path: String
  /// Keys (`section.key`) and values in the order of the file.
  public let configuration: [(key: String, value: String)]
  /// One entry for each line of metrics.jsonl.
  package let lines: [(step: Int, members: [String: JSONValue])]
  /// The lines of samples.jsonl.
  let samples: [(step: Int, members: [String: JSONValue])]
  /// The lines of alarms.jsonl.
  let alarms: [(step: Int, members: [String: JSONValue])]

  /// The sessions; empty if the version of the program did not record them.
  let sessions: [RunSession]
  /// The last time at which metrics were written.
  let lastWritten: Date?
  /// Whether the final weights exist, as in a finished run.
  let hasWeights: Bool
  /// Messages about damaged lines that are ignored.
  public let problems: [String]

  /// - Throws: `ReportError` if the directory has no run or no metrics.
  public init(path: String) throws {
    let directory = try RunDirectory.open(path)
    self.path = path
    name = Path(path).naming(1)?.name ?? path
    configuration = Self.keys(String(decoding: try Self.bytes(directory.configuration), as: UTF8.self))
    var problems: [String] = []
    lines = try Self.lines(directory.metrics, &problems)
    func optional(_ path: String) throws -> [(step: Int, members: [String: JSONValue])] {
      FileManager.default.fileExists(atPath: path) ? try Self.lines(path, &problems) : []
    }
    alarms = try optional(directory.alarms)
    samples = try optional(directory.samples)
    sessions = RunSession.sessions(try optional(directory.sessions).map(\.members))
    self.problems = problems
    let attributes = try? FileManager.default.attributesOfItem(atPath: directory.metrics)
    lastWritten = attributes?[.modificationDate] as? Date
    hasWeights = FileManager.default.fileExists(atPath: directory.weights)
  }

  private static func bytes(_ path: String) throws(ReportError) -> [UInt8] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ReportError(path: path, problem: "cannot be read", remedy: "check the run directory")
    }
    return Array(data)
  }

  /// The objects of a JSON Lines file after the header. Damaged lines and an incomplete last line are ignored.
  private static func lines(_ path: String, _ problems: inout [String]) throws(ReportError)
    -> [(step: Int, members: [String: JSONValue])]
  {
    let parts = try bytes(path).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
    var result: [(step: Int, members: [String: JSONValue])] = []
    for (number, line) in parts.enumerated() where !line.isEmpty {
      if let members = JSONLinesFile.members(line) {
        if let step = members["step"]?.integerValue { result.append((step, members)) }
      } else {
        problems.append("\(path): line \(number + 1) is ignored: not a JSON object in UTF-8")
      }
    }
    return result
  }

  /// The keys and values of a configuration in the format of `RunConfiguration.yaml()`.
  static func keys(_ yaml: String) -> [(key: String, value: String)] {
    var section = ""
    var result: [(key: String, value: String)] = []
    for line in yaml.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let key = line[..<colon].trimmingCharacters(in: .whitespaces)
      if line.first != " " {
        section = key
      } else {
        result.append(("\(section).\(key)", line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)))
      }
    }
    return result
  }

  /// The finite values of a metric by step.
  func points(_ metric: String) -> [(x: Double, y: Double)] {
    lines.compactMap { line in
      line.members[metric]?.numberValue.map { (Double(line.step), $0) }
    }
  }

  /// The sorted names of metrics with a prefix.
  func metrics(prefix: String) -> [String] {
    Set(lines.flatMap { $0.members.keys.filter { $0.hasPrefix(prefix) } }).sorted()
  }

  /// Evaluations by step: the metrics with the prefix `eval/`.
  package var evaluations: [(step: Int, figures: [String: Double])] {
    lines.compactMap { line in
      let figures = line.members.filter { $0.key.hasPrefix("eval/") }.compactMapValues(\.numberValue)
      return figures.isEmpty ? nil : (line.step, figures)
    }
  }
}
