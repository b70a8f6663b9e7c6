import Learning
import Rollouts
import Formats

/// `metrics.jsonl`: one JSON object a line with sorted keys, after a header
/// `{"format":"quillan-metrics","version":1}`; non-finite numbers are null.
///
/// Only rank 0 holds one. Every line reaches the system before `write` returns.
public final class MetricsWriter {
  private let file: JSONLinesFile

  /// Creates the file, or continues it after its last whole line.
  ///
  /// - Throws: `ReportError`.
  public init(path: String) throws(ReportError) {
    file = try JSONLinesFile(path: path, format: "quillan-metrics")
  }

  /// Adds the line of one step; `step` counts optimizer steps from 1 and names no other metric.
  ///
  /// - Throws: `ReportError` where the disk is full or gone.
  public func write(step: Int, _ metrics: [String: JSONValue]) throws(ReportError) {
    var line = metrics
    line["step"] = .integer(step)
    try file.append(line)
  }

  /// The members of the line of an optimizer step.
  package static func members(_ values: [String: Double], prompts: PromptLedger?, loads: RoutingSnapshot?) -> [String:
    JSONValue]
  {
    var members = values.mapValues(JSONValue.number)
    if let prompts { members["prompts"] = prompts.json }
    if let loads { members["loads"] = loads.json }
    return members
  }

  /// Makes the lines so far durable.
  public func synchronize() throws(ReportError) { try file.synchronize() }
}

extension PromptLedger {
  /// The member `prompts` of a line of metrics.
  var json: JSONValue {
    .object([
      "first": .integer(first), "count": .integer(count), "digest": .text(String(digest, radix: 16)),
      "dropped": .object(dropped.mapValues { .list($0.map(JSONValue.integer)) }),
    ])
  }
}

extension RoutingSnapshot {
  /// The member `loads` of a line of metrics: slots of mini-MoEs by layer and of experts by mini-MoE, and the share of
  /// each mini-MoE's micro agents that were chosen at all.
  var json: JSONValue {
    func rows(_ values: [[Int]]) -> JSONValue { .list(values.map { .list($0.map(JSONValue.integer)) }) }
    return .object([
      "mini_moes": rows(miniMoEs), "experts": rows(experts),
      "micro_agents_used": .list(
        microAgents.map { .number(Double($0.count { $0 > 0 }) / Double(max(1, $0.count))) }),
    ])
  }
}
