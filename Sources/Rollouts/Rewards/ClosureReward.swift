/// A reward that a closure computes, for programs that use the library.
///
/// ```swift
/// let rewards = try WeightedRewards([.init(ClosureReward("correct") { $1 == $0.answer ? 1 : 0 })])
/// ```
public struct ClosureReward: Reward {
  public let name: String
  private let closure: @Sendable (Prompt, String) -> Double

  /// - Parameters:
  ///   - name: the name of the reward in metrics and errors.
  ///   - closure: the score of a prompt's completion, without the end token; the rules of `Reward.score` apply.
  public init(_ name: String, _ closure: @escaping @Sendable (_ prompt: Prompt, _ completion: String) -> Double) {
    self.name = name
    self.closure = closure
  }

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    closure(prompt, completion)
  }
}
