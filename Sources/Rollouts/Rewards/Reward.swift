/// A score of completions. Higher is better.
public protocol Reward: Sendable {
  /// The name of the reward in metrics and errors.
  var name: String { get }

  /// The score of one completion, which depends only on the arguments.
  ///
  /// A score that is not finite means that the reward is undefined for the prompt, and ends scoring.
  ///
  /// - Parameters:
  ///   - completion: the generated text without the end token.
  ///   - completionTokens: the generated tokens, the end token included.
  ///   - finished: whether the completion ended with the end token, not at the maximum length.
  func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double

  /// The outcomes of completions that are scored together, in their order. A reward that can fail to score (a program
  /// of the user) returns `unscored` instead of inventing a number.
  ///
  /// - Throws: `RewardError` if scoring cannot continue, or a score is not finite.
  func outcomes(_ items: [RewardItem]) throws(RewardError) -> [RewardOutcome]
}

extension Reward {
  public func outcomes(_ items: [RewardItem]) throws(RewardError) -> [RewardOutcome] {
    var outcomes: [RewardOutcome] = []
    for item in items {
      let value = score(
        prompt: item.prompt, completion: item.completion, completionTokens: item.completionTokens,
        finished: item.finished)
      guard value.isFinite else { throw RewardError.notFinite(value, reward: name, item) }
      outcomes.append(.scored(value, metrics: [:]))
    }
    return outcomes
  }
}

extension RewardItem {
  /// The prompt with its origin, on one line.
  var shownPrompt: String { "prompt \(prompt.id) (\(prompt.origin)) \(LogText.quoted(prompt.text, limit: 4000))" }

  /// The completion on one line.
  var shownCompletion: String { LogText.quoted(completion, limit: 4000) }
}

/// A completion to score.
public struct RewardItem: Sendable {
  /// The global trajectory number.
  public let id: UInt64
  public let prompt: Prompt
  /// The generated text without the end token.
  public let completion: String
  /// The generated tokens, the end token included.
  public let completionTokens: Int
  /// Whether the completion ended with the end token.
  public let finished: Bool

  public init(id: UInt64, prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) {
    self.id = id
    self.prompt = prompt
    self.completion = completion
    self.completionTokens = completionTokens
    self.finished = finished
  }
}

/// The result of scoring a completion.
public enum RewardOutcome: Equatable, Sendable {
  /// A finite score, and additional metrics of the reward.
  case scored(Double, metrics: [String: Double])
  /// The reward does not apply to the completion: the sum has only the other rewards.
  case notApplicable
  /// No score: the trajectory is left out of its group.
  case unscored(UnscoredReason)
}
