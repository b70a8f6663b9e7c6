/// A number that says how good a completion is. Higher is better.
public protocol Reward: Sendable {
  /// How the reward is called in metrics and errors.
  var name: String { get }

  /// The score of one completion, a function of the arguments alone.
  ///
  /// A score that is not finite means that the reward is undefined for the prompt; scoring stops there.
  ///
  /// - Parameters:
  ///   - completion: the generated text without the end token.
  ///   - completionTokens: the generated tokens, the end token included.
  ///   - finished: whether the completion ended with the end token, rather than at the longest length.
  func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double

  /// The outcomes of completions that are scored together, in their order. A reward that can fail to score (a program
  /// of the user's) says `unscored` instead of inventing a number.
  ///
  /// - Throws: `RewardError` where scoring cannot go on, or a score is not finite.
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
  /// The prompt with its place, on one line.
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

/// What became of a completion.
public enum RewardOutcome: Equatable, Sendable {
  /// A finite score, and figures of the reward's own.
  case scored(Double, metrics: [String: Double])
  /// No score: the trajectory is left out of its group.
  case unscored(UnscoredReason)
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

  /// A score that is no number, with prompt and completion.
  static func notFinite(_ score: Double, reward: String, _ item: RewardItem) -> RewardError {
    RewardError(
      reward: reward,
      problem: "a score of \(score) for prompt \(item.prompt.id) (\(item.prompt.origin)) "
        + "\(LogText.quoted(item.prompt.text, limit: 120)) with answer \(LogText.quoted(item.prompt.answer, limit: 120)) "
        + "and completion \(LogText.quoted(item.completion, limit: 120))",
      remedy: "correct the prompt's answer or the reward")
  }
}
