/// One completion and how it was judged: a line of samples.jsonl.
public struct CompletionSample: Sendable, Equatable, Codable {
  /// The prompt's text.
  public var prompt: String
  /// What the policy wrote.
  public var completion: String
  /// The expected answer, if there is one.
  public var answer: String?
  /// The weighted sum of rewards.
  public var reward: Double
  /// Each reward alone, before its weight, by name.
  public var rewards: [String: Double]
  /// The generated tokens one by one, if the sample is shown token by token.
  public var tokens: [Token]

  public init(
    prompt: String, completion: String, answer: String?, reward: Double, rewards: [String: Double] = [:],
    tokens: [Token] = []
  ) {
    self.prompt = prompt
    self.completion = completion
    self.answer = answer
    self.reward = reward
    self.rewards = rewards
    self.tokens = tokens
  }

  /// A generated token.
  public struct Token: Sendable, Equatable, Codable {
    /// Its text; the end token has none.
    public var text: String
    /// log π_old of the token, in nats.
    public var logProbability: Double

    public init(text: String, logProbability: Double) {
      self.text = text
      self.logProbability = logProbability
    }
  }
}
