import Synchronization

/// 1 where a regular expression (Swift's `Regex` syntax) matches somewhere in the completion, else 0.
/// `^` and `$` anchor a pattern at the completion's ends.
public final class FormatReward: Reward {
  public let name = "format"
  public let pattern: String
  // A compiled expression is not Sendable, and compiling costs more than matching.
  private let expression: Mutex<Regex<AnyRegexOutput>>

  /// - Throws: `RewardError` where the pattern is not a regular expression.
  public init(pattern: String) throws(RewardError) {
    self.pattern = pattern
    do {
      expression = Mutex(try Regex(pattern))
    } catch {
      throw RewardError(
        reward: "format", problem: "'\(pattern)' is no regular expression (\(error))", remedy: "correct the pattern")
    }
  }

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    // Only a transformation inside an expression can throw, and a pattern from text holds none.
    expression.withLock { (try? $0.firstMatch(in: completion)) == nil ? 0 : 1 }
  }
}
