/// `samples.jsonl`: sample completions, one JSON object a line, after a header
/// `{"format":"quillan-samples","version":1}`.
public final class SamplesWriter {
  /// One completion and how it was judged.
  public struct Sample: Sendable, Equatable {
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

    /// A sample.
    public init(prompt: String, completion: String, answer: String?, reward: Double, rewards: [String: Double] = [:]) {
      self.prompt = prompt
      self.completion = completion
      self.answer = answer
      self.reward = reward
      self.rewards = rewards
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
    try file.append([
      "step": .integer(step), "prompt": .text(sample.prompt), "completion": .text(sample.completion),
      "answer": sample.answer.map(JSONValue.text) ?? .null, "reward": .number(sample.reward),
      "rewards": .object(sample.rewards.mapValues(JSONValue.number)),
    ])
  }

  /// Makes the lines so far durable.
  public func synchronize() throws(ReportError) { try file.synchronize() }
}
