/// The weighted sum of rewards, which also keeps each reward's score for the metrics.
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
    /// Σ weight · part over the rewards that apply, added in the order of the terms.
    public let total: Double
    /// Each reward's score without its weight, in the order of the terms; nil if the reward does not apply.
    public let parts: [Double?]
    /// Additional metrics of the rewards, as `reward/name`.
    public let metrics: [String: Double]

    public init(total: Double, parts: [Double?], metrics: [String: Double]) {
      self.total = total
      self.parts = parts
      self.metrics = metrics
    }

    /// The scores of the rewards that apply, by name.
    ///
    /// - Parameter names: the rewards' names, in the order of the terms.
    public func parts(named names: [String]) -> [String: Double] {
      Dictionary(uniqueKeysWithValues: zip(names, parts).compactMap { name, part in part.map { (name, $0) } })
    }
  }

  /// A score, weighted or not, beyond ± this counts as unscored: it would overflow fp32 on the way to the weights.
  public static let largestScore = 1e12

  public let terms: [Term]
  /// The rewards of the sources that have rewards of their own, by the source's name.
  public private(set) var ofSources: [String: WeightedRewards] = [:]
  /// The rewards' names, in the order of `Score.parts`; those of sources follow.
  public private(set) var names: [String]

  /// - Throws: `RewardError` if there is no term, a weight is not finite, or two rewards have the same name.
  public init(_ terms: [Term]) throws(RewardError) {
    if terms.isEmpty {
      throw RewardError(reward: "sum", problem: "no reward is given", remedy: "name at least one")
    }
    for (index, term) in terms.enumerated() {
      if !term.weight.isFinite {
        throw RewardError(
          reward: term.reward.name, problem: "a weight of \(term.weight)", remedy: "give a finite number")
      }
      if terms[..<index].contains(where: { $0.reward.name == term.reward.name }) {
        throw RewardError(reward: term.reward.name, problem: "named twice", remedy: "keep one of the two")
      }
    }
    self.terms = terms
    names = terms.map(\.reward.name)
  }

  /// Adds rewards for the prompts of a source, instead of `terms`.
  public mutating func add(_ rewards: WeightedRewards, of source: String) {
    ofSources[source] = rewards
    for name in rewards.names where !names.contains(name) { names.append(name) }
  }

  /// Leaves the rewards of `terms`.
  mutating func forgetSources() { (ofSources, names) = ([:], terms.map(\.reward.name)) }

  /// The scores of one completion.
  ///
  /// - Throws: `RewardError` if a score is not finite, naming reward, prompt and completion, or there is none.
  public func score(
    prompt: Prompt, completion: String, completionTokens: Int, finished: Bool
  ) throws(RewardError) -> Score {
    let item = RewardItem(
      id: 0, prompt: prompt, completion: completion, completionTokens: completionTokens, finished: finished)
    switch try outcomes([item])[0] {
    case .scored(let score): return score
    case .unscored(let reward, let reason):
      throw RewardError(reward: reward, problem: "no score (\(reason.rawValue))", remedy: "see the scorer's messages")
    }
  }

  /// The combined result of the terms for a completion.
  public enum Outcome: Equatable, Sendable {
    case scored(Score)
    /// The first term without a score, and the reason; the scores of other terms are dropped with the completion. If no
    /// term applies, the first term and `none`.
    case unscored(reward: String, UnscoredReason)

    /// The score, if there is one.
    public var score: Score? { if case .scored(let score) = self { score } else { nil } }
  }

  /// The scores of completions, in order; each term gets all completions of the call at once.
  ///
  /// - Throws: `RewardError` if a score is not finite, naming reward, prompt and completion, or a scorer fails.
  public func outcomes(_ items: [RewardItem]) throws(RewardError) -> [Outcome] {
    if !ofSources.isEmpty { return try outcomesBySource(items) }
    var columns: [[RewardOutcome]] = []
    for term in terms { columns.append(try term.reward.outcomes(items)) }
    return items.indices.map { index in
      var total = 0.0
      var parts: [Double?] = []
      var metrics: [String: Double] = [:]
      for (term, column) in zip(terms, columns) {
        switch column[index] {
        case .unscored(let reason): return .unscored(reward: term.reward.name, reason)
        case .notApplicable: parts.append(nil)
        case .scored(let part, let figures):
          let weighted = term.weight * part
          guard abs(part) <= Self.largestScore, abs(weighted) <= Self.largestScore else {
            return .unscored(reward: term.reward.name, .outOfRange)
          }
          parts.append(part)
          total += weighted
          for (name, value) in figures { metrics["\(term.reward.name)/\(name)"] = value }
        }
      }
      guard parts.contains(where: { $0 != nil }) else { return .unscored(reward: terms[0].reward.name, .none) }
      return .scored(Score(total: total, parts: parts, metrics: metrics))
    }
  }
}
