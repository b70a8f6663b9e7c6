import Learning
import Rollouts
import Formats

/// Writes `metrics.jsonl`: one JSON object with sorted keys per line, after the header
/// `{"format":"quillan-metrics","version":1}`; non-finite numbers are null.
///
/// Only rank 0 has a writer. Each line has reached the operating system when `write` returns.
public final class MetricsWriter {
  private let file: JSONLinesFile

  /// Creates the file, or continues it after its last complete line.
  ///
  /// - Throws: `ReportError`.
  public init(path: String) throws(ReportError) {
    file = try JSONLinesFile(path: path, format: "quillan-metrics")
  }

  /// Writes the line of one step. `step` counts optimizer steps from 1; no metric may be called `step`.
  ///
  /// - Returns: the line, with its line break.
  /// - Throws: `ReportError` if the disk is full or unavailable.
  @discardableResult
  public func write(step: Int, _ metrics: [String: JSONValue]) throws(ReportError) -> [UInt8] {
    var members = metrics
    members["step"] = .integer(step)
    let line = JSONLinesFile.line(members)
    try file.append(lines: line)
    return line
  }

  /// The JSON members for the line of an optimizer step.
  package static func members(_ values: [String: Double], prompts: PromptLedger?, loads: RoutingSnapshot?) -> [String:
    JSONValue]
  {
    var members = values.mapValues(JSONValue.number)
    if let prompts { members["prompts"] = prompts.json }
    if let loads { members["loads"] = loads.json }
    return members
  }

  /// Makes all lines durable.
  public func synchronize() throws(ReportError) { try file.synchronize() }
}

extension PromptLedger {
  /// The member `prompts` of a line in metrics.jsonl.
  var json: JSONValue {
    var members: [String: JSONValue] = [
      "first": .integer(first), "count": .integer(count), "digest": .text(String(digest, radix: 16)),
      "dropped": .object(dropped.mapValues { .list($0.map(JSONValue.integer)) }),
    ]
    if !draws.isEmpty { members["draws"] = .list(draws.map(\.json)) }
    return .object(members)
  }
}

extension PromptLedger.Draws {
  fileprivate var json: JSONValue {
    var members: [String: JSONValue] = [
      "first": .integer(first), "count": .integer(count), "drawn": .list(drawn.map(JSONValue.integer)),
    ]
    if let source { members["source"] = .text(source) }
    return .object(members)
  }
}

extension RoutingSnapshot {
  /// The member `loads` of a line in metrics.jsonl: slots of mini-MoEs by layer and of experts by mini-MoE, and for each
  /// mini-MoE the fraction of its micro agents that were chosen at least once.
  var json: JSONValue {
    func rows(_ values: [[Int]]) -> JSONValue { .list(values.map { .list($0.map(JSONValue.integer)) }) }
    return .object([
      "mini_moes": rows(miniMoEs), "experts": rows(experts),
      "micro_agents_used": .list(
        microAgents.map { .number(Double($0.count { $0 > 0 }) / Double(max(1, $0.count))) }),
    ])
  }
}
