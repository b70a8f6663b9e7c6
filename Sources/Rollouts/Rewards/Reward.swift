/// A number that says how good a completion is. Higher is better.
public protocol Reward: Sendable {
  /// How the reward is called in metrics and errors.
  var name: String { get }

  /// The score of one completion, a function of the arguments alone.
  ///
  /// A score that is not finite means that the reward is undefined for the prompt; `WeightedRewards` stops there.
  ///
  /// - Parameters:
  ///   - completion: the generated text without the end token.
  ///   - completionTokens: the generated tokens, the end token included.
  ///   - finished: whether the completion ended with the end token, rather than at the longest length.
  func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double
}

/// A fault of a reward: its settings, or a score that is not a number.
public struct RewardError: Error, Equatable, Sendable, CustomStringConvertible {
  public let reward: String
  public let problem: String
  public let remedy: String

  public init(reward: String, problem: String, remedy: String) {
    self.reward = reward
    self.problem = problem
    self.remedy = remedy
  }

  public var description: String { "reward \(reward): \(problem); \(remedy)" }
}
