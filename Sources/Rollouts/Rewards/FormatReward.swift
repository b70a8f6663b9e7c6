/// 1 if a regular expression matches somewhere in the completion, else 0. `^` and `$` anchor a pattern at the
/// completion's ends. A completion on which matching takes too many steps has no score.
public struct FormatReward: Reward {
  public let name = "format"
  public let pattern: String
  private let expression: Pattern

  /// - Throws: `RewardError` if the pattern is not a regular expression, or is too large.
  public init(pattern: String) throws(RewardError) {
    self.pattern = pattern
    do {
      expression = try Pattern(pattern)
    } catch {
      let shown = pattern.count > 120 ? pattern.prefix(120) + "…" : pattern[...]
      throw RewardError(
        reward: "format", problem: "'\(shown)' is not a regular expression (\(error))", remedy: "correct the pattern")
    }
  }

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    expression.matches(completion).map { $0 ? 1 : 0 } ?? .nan
  }

  public func outcomes(_ items: [RewardItem]) throws(RewardError) -> [RewardOutcome] {
    items.map { item in
      expression.matches(item.completion).map { .scored($0 ? 1 : 0, metrics: [:]) } ?? .unscored(.patternLimit)
    }
  }
}
