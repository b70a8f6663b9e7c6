import ArgumentParser
import Formats
import Foundation
import Tensors
import Diagnostics
import Errors
import Reports
import Rollouts

/// Options and output that the benchmarks share: tables or JSON, and a comparison with an earlier result.
struct BenchReport: ParsableArguments {
  @Flag(help: "Print one JSON object instead of a table.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "Compare with JSON that this command printed earlier; 'speed' is above 1 if this run is faster.",
      valueName: "file"))
  var baseline: String?

  func validate() throws { try PathCheck.validate(["--baseline": baseline]) }

  private struct Baseline: Decodable {
    struct Row: Decodable {
      let operation: String
      let seconds: Double
    }

    let rows: [Row]
  }

  /// Seconds by operation in the baseline; nil without --baseline.
  ///
  /// - Throws: `CommandError` if the file is not a baseline.
  func baselineSeconds() throws -> [String: Double]? {
    guard let baseline else { return nil }
    do {
      let rows = try JSONDecoder().decode(Baseline.self, from: Data(contentsOf: URL(fileURLWithPath: baseline))).rows
      return Dictionary(rows.map { ($0.operation, $0.seconds) }) { first, _ in first }
    } catch {
      throw CommandError(
        .usage, at: "--baseline \(baseline)", "not the JSON of a benchmark",
        remedy: "write one with 'quillan bench … --json'")
    }
  }

  /// Prints the measurements.
  ///
  /// - Parameters:
  ///   - about: one line that names what was measured.
  ///   - extra: further members of the JSON object.
  func write(
    _ rows: [BenchmarkRow], about: String, extra: [String: JSONValue] = [:], baseline: [String: Double]?
  ) throws {
    try StandardOutput.write(json ? object(rows, extra, baseline) : text(rows, about, baseline))
  }

  private func text(_ rows: [BenchmarkRow], _ about: String, _ baseline: [String: Double]?) -> String {
    var header = ["operation", "time", "rate", "of limit"]
    if baseline != nil { header.append("speed") }
    var table = Table(header, alignments: [.left] + header.dropFirst().map { _ in .right })
    for row in rows {
      var cells = [
        row.operation, Self.time(row.seconds), row.rateText,
        row.fraction.map { "\(FigureText.fixed(100 * $0, 0)) %" } ?? "",
      ]
      if let baseline {
        cells.append(baseline[row.operation].map { FigureText.fixed($0 / row.seconds, 2) } ?? "")
      }
      table.add(cells)
    }
    let limits = rows.compactMap(\.limit?.name)
    let measure = limits.first.map { "; limit: \($0)" } ?? ""
    return "\(about), instruction set \(Kernels.name)\(measure)\n\n\(table.text)"
  }

  private func object(_ rows: [BenchmarkRow], _ extra: [String: JSONValue], _ baseline: [String: Double]?) -> String {
    func number(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
    let list = rows.map { row in
      var members: [String: JSONValue] = [
        "operation": .text(row.operation), "seconds": .number(row.seconds), "work": .number(row.work),
        "unit": .text(row.unit.rawValue), "rate": .number(row.rate),
      ]
      if let limit = row.limit {
        members["limit"] = .text(limit.name)
        members["limit_rate"] = .number(limit.rate)
      }
      members["fraction"] = number(row.fraction)
      if let baseline { members["baseline_seconds"] = number(baseline[row.operation]) }
      return JSONValue.object(members)
    }
    let members: [String: JSONValue] = ["instruction_set": .text(Kernels.name), "rows": .list(list)]
    return JSONValue.object(members.merging(extra) { $1 }).serialized + "\n"
  }

  private static func time(_ seconds: Double) -> String {
    switch seconds {
    case ..<1e-3: "\(FigureText.fixed(seconds * 1e6, 1)) µs"
    case ..<1: "\(FigureText.fixed(seconds * 1e3, 2)) ms"
    default: "\(FigureText.fixed(seconds, 2)) s"
    }
  }
}
