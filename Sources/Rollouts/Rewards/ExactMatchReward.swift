/// 1 where the completion is the answer, white space at the ends aside; else 0.
public struct ExactMatchReward: Reward {
  public let name = "exact_match"

  public init() {}

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    completion.trimmed == prompt.answer.trimmed ? 1 : 0
  }
}
