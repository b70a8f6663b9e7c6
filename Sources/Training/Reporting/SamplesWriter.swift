import Formats

/// `samples.jsonl`: sample completions, one JSON object a line, after a header
/// `{"format":"quillan-samples","version":1}`.
public final class SamplesWriter {
  /// One completion and how it was judged.
  public struct Sample: Sendable, Equatable, Codable {
    /// The prompt's text.
    public var prompt: String
    /// What the policy wrote.
    public var completion: String
    /// The expected answer, where there is one.
    public var answer: String?
    /// The weighted sum of rewards.
    public var reward: Double
    /// Each reward alone, before its weight, by name.
    public var rewards: [String: Double]
    /// The generated tokens one by one, of the samples that are shown so.
    public var tokens: [Token]

    /// A sample.
    public init(
      prompt: String, completion: String, answer: String?, reward: Double, rewards: [String: Double] = [:],
      tokens: [Token] = []
    ) {
      self.tokens = tokens
      self.prompt = prompt
      self.completion = completion
      self.answer = answer
      self.reward = reward
      self.rewards = rewards
    }
  }

  /// A generated token.
  public struct Token: Sendable, Equatable, Codable {
    /// Its text; the end token has none.
    public var text: String
    /// log π_old of it, nats.
    public var logProbability: Double

    /// A token.
    public init(text: String, logProbability: Double) {
      self.text = text
      self.logProbability = logProbability
    }
  }

  private let file: JSONLinesFile

  /// Creates the file, or continues it after its last whole line.
  ///
  /// - Throws: `ReportError`.
  public init(path: String) throws(ReportError) {
    file = try JSONLinesFile(path: path, format: "quillan-samples")
  }

  /// Adds one completion of a step.
  ///
  /// - Throws: `ReportError` where the disk is full or gone.
  public func write(step: Int, _ sample: Sample) throws(ReportError) {
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

  /// Makes the lines so far durable.
  public func synchronize() throws(ReportError) { try file.synchronize() }
}
