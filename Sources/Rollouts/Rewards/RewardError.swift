import Errors

/// Why a reward cannot be used: its settings, or a score that is not finite.
public struct RewardError: QuillanError, Equatable {
  public let reward: String
  public let problem: String
  public let remedy: String?

  public init(reward: String, problem: String, remedy: String) {
    self.reward = reward
    self.problem = problem
    self.remedy = remedy
  }

  public var status: ErrorStatus { .failure }
  public var place: String? { "reward \(reward)" }

  /// The error for a score that is not finite, with prompt and completion.
  static func notFinite(_ score: Double, reward: String, _ item: RewardItem) -> RewardError {
    RewardError(
      reward: reward,
      problem: "a score of \(score) for prompt \(item.prompt.id) (\(item.prompt.origin)) "
        + "\(LogText.quoted(item.prompt.text, limit: 120)) with answer \(LogText.quoted(item.prompt.answer, limit: 120)) "
        + "and completion \(LogText.quoted(item.completion, limit: 120))",
      remedy: "correct the prompt's answer or the reward")
  }
}
