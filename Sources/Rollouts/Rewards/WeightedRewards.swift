/// The weighted sum of rewards, which keeps each reward's own score for the metrics.
public struct WeightedRewards: Sendable {
  public struct Term: Sendable {
    public let reward: any Reward
    public let weight: Double

    public init(_ reward: any Reward, weight: Double = 1) {
      self.reward = reward
      self.weight = weight
    }
  }

  public struct Score: Equatable, Sendable {
    /// Σ weight · part, added in the order of the terms.
    public let total: Double
    /// Each reward's score without its weight, in the order of the terms.
    public let parts: [Double]
  }

  public let terms: [Term]

  /// The rewards' names, in the order of `Score.parts`.
  public var names: [String] { terms.map(\.reward.name) }

  /// - Throws: `RewardError` where there is no term, a weight is not finite, or two rewards have one name.
  public init(_ terms: [Term]) throws(RewardError) {
    if terms.isEmpty {
      throw RewardError(reward: "sum", problem: "there are no rewards", remedy: "name at least one")
    }
    for (place, term) in terms.enumerated() {
      if !term.weight.isFinite {
        throw RewardError(
          reward: term.reward.name, problem: "a weight of \(term.weight)", remedy: "give a finite number")
      }
      if terms[..<place].contains(where: { $0.reward.name == term.reward.name }) {
        throw RewardError(reward: term.reward.name, problem: "named twice", remedy: "keep one of the two")
      }
    }
    self.terms = terms
  }

  /// The scores of one completion.
  ///
  /// - Throws: `RewardError` where a score is not finite, naming reward, prompt and completion.
  public func score(
    prompt: Prompt, completion: String, completionTokens: Int, finished: Bool
  ) throws(RewardError) -> Score {
    var total = 0.0
    var parts: [Double] = []
    for term in terms {
      let part = term.reward.score(
        prompt: prompt, completion: completion, completionTokens: completionTokens, finished: finished)
      if !part.isFinite {
        throw RewardError(
          reward: term.reward.name,
          problem: "a score of \(part) for prompt \(prompt.id) (\(prompt.origin)) \(Self.quoted(prompt.text))"
            + " with answer \(Self.quoted(prompt.answer)) and completion \(Self.quoted(completion))",
          remedy: "correct the prompt's answer or the reward")
      }
      parts.append(part)
      total += term.weight * part
    }
    return Score(total: total, parts: parts)
  }

  /// The text on one line, and not more than an error line bears.
  private static func quoted(_ text: String) -> String {
    let shown = String(text.prefix(120)).debugDescription
    return text.count > 120 ? shown + "…" : shown
  }
}
