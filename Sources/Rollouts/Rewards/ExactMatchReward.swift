/// 1 if the completion equals the answer, ignoring white space at the ends; else 0.
public struct ExactMatchReward: Reward {
  public let name = "exact_match"

  public init() {}

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    completion.trimmed == prompt.answer.trimmed ? 1 : 0
  }
}
