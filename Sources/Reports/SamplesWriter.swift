import Formats
import Learning
import Rollouts

/// Writes `samples.jsonl`: one sample completion per line, after the header
/// `{"format":"quillan-samples","version":1}`.
public final class SamplesWriter {
  private let file: JSONLinesFile

  /// Creates the file, or continues it after its last complete line.
  ///
  /// - Throws: `ReportError`.
  public init(path: String) throws(ReportError) {
    file = try JSONLinesFile(path: path, format: "quillan-samples")
  }

  /// Writes one completion of a step.
  ///
  /// - Throws: `ReportError` if the disk is full or unavailable.
  public func write(step: Int, _ sample: CompletionSample) throws(ReportError) {
    var line: [String: JSONValue] = [
      "step": .integer(step), "prompt": .text(sample.prompt), "completion": .text(sample.completion),
      "answer": sample.answer.map(JSONValue.text) ?? .null, "reward": .number(sample.reward),
      "rewards": .object(sample.rewards.mapValues(JSONValue.number)),
    ]
    if !sample.tokens.isEmpty {
      line["tokens"] = .list(sample.tokens.map { .text($0.text) })
      line["logprobs"] = .list(sample.tokens.map { .number($0.logProbability) })
    }
    try file.append(line)
  }

  /// Makes all lines durable.
  public func synchronize() throws(ReportError) { try file.synchronize() }
}
