/// One completion with its scores: a line of samples.jsonl.
public struct CompletionSample: Sendable, Equatable, Codable {
  /// The prompt's text.
  public var prompt: String
  /// The text that the policy generated.
  public var completion: String
  /// The expected answer, if the prompt has an answer.
  public var answer: String?
  /// The weighted sum of rewards.
  public var reward: Double
  /// Each reward before its weight, by name.
  public var rewards: [String: Double]
  /// The generated tokens, if the sample is shown token by token.
  public var tokens: [Token]
  /// The global trajectory number, if the completion is of a rollout.
  public var trajectory: UInt64?

  public init(
    prompt: String, completion: String, answer: String?, reward: Double, rewards: [String: Double] = [:],
    tokens: [Token] = [], trajectory: UInt64? = nil
  ) {
    self.prompt = prompt
    self.completion = completion
    self.answer = answer
    self.reward = reward
    self.rewards = rewards
    self.tokens = tokens
    self.trajectory = trajectory
  }

  /// A generated token.
  public struct Token: Sendable, Equatable, Codable {
    /// The text of the token; empty for the end token.
    public var text: String
    /// log π_old of the token, in nats.
    public var logProbability: Double

    public init(text: String, logProbability: Double) {
      self.text = text
      self.logProbability = logProbability
    }
  }
}
