import Foundation
import Rollouts

/// What a run directory holds, read for a report. A run that is still going on, or was cut off, reads as far as it goes.
public struct RunContent: Sendable {
  /// The directory's last component.
  public let name: String
  public let path: String
  /// Keys `section.key` with their values, in the order of the file.
  public let configuration: [(key: String, value: String)]
  /// One entry for each line of metrics.jsonl.
  let lines: [(step: Int, members: [String: JSONValue])]
  /// The lines of samples.jsonl.
  let samples: [(step: Int, members: [String: JSONValue])]

  /// When the program worked on the run; none in runs of programs that did not record it.
  let sessions: [RunSession]
  /// When the metrics were written last.
  let lastWritten: Date?
  /// Whether the run left its last weights, as a finished run does.
  let hasWeights: Bool

  /// - Throws: `ReportError` where the directory holds no run or no metrics; `DataError` for a line that is not JSON.
  public init(path: String) throws {
    let directory = try RunDirectory.open(path)
    self.path = path
    name = path.split(separator: "/").last { $0 != "." }.map(String.init) ?? path
    configuration = Self.keys(try Self.text(directory.configuration))
    lines = try Self.lines(directory.metrics)
    alarms = FileManager.default.fileExists(atPath: directory.alarms) ? try Self.lines(directory.alarms) : []
    samples = FileManager.default.fileExists(atPath: directory.samples) ? try Self.lines(directory.samples) : []
    let events = FileManager.default.fileExists(atPath: directory.sessions) ? try Self.lines(directory.sessions) : []
    sessions = RunSession.sessions(events.map(\.members))
    let attributes = try? FileManager.default.attributesOfItem(atPath: directory.metrics)
    lastWritten = attributes?[.modificationDate] as? Date
    hasWeights = FileManager.default.fileExists(atPath: directory.weights)
  }

  private static func text(_ path: String) throws(ReportError) -> String {
    do {
      return try String(contentsOfFile: path, encoding: .utf8)
    } catch {
      throw ReportError(path: path, message: "cannot be read (\(error.localizedDescription)); check the run directory")
    }
  }

  /// The objects of a JSON Lines file behind its header; a last line without its end is left out.
  private static func lines(_ path: String) throws -> [(step: Int, members: [String: JSONValue])] {
    let parts = try text(path).split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    var result: [(step: Int, members: [String: JSONValue])] = []
    for (number, line) in parts.enumerated() where !line.isEmpty {
      do {
        guard let members = try JSONValue.parse(line.utf8).objectValue else { continue }
        if let step = members["step"]?.integerValue { result.append((step, members)) }
      } catch {
        throw DataError(
          file: path, line: number + 1, problem: "not JSON: \(error)",
          remedy: "report on another run, or restore the file")
      }
    }
    return result
  }

  /// The keys of a configuration as `RunConfiguration.yaml()` writes it.
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

  /// The finite values of a metric over the steps.
  func points(_ metric: String) -> [(x: Double, y: Double)] {
    lines.compactMap { line in
      line.members[metric]?.numberValue.map { (Double(line.step), $0) }
    }
  }

  /// Names of metrics that begin with a prefix, sorted.
  func metrics(prefix: String) -> [String] {
    Set(lines.flatMap { $0.members.keys.filter { $0.hasPrefix(prefix) } }).sorted()
  }

  /// Evaluations by step: the members that begin with `eval/`.
  var evaluations: [(step: Int, figures: [String: Double])] {
    lines.compactMap { line in
      let figures = line.members.filter { $0.key.hasPrefix("eval/") }.compactMapValues(\.numberValue)
      return figures.isEmpty ? nil : (line.step, figures)
    }
  }

  /// The lines of alarms.jsonl.
  let alarms: [(step: Int, members: [String: JSONValue])]
}
