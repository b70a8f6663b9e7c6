extension WeightedRewards {
  /// The rewards that score the prompts of a source.
  ///
  /// - Parameter source: the source's name; nil: the only source.
  public func rewards(of source: String?) -> WeightedRewards {
    if let source, let own = ofSources[source] { return own }
    var rest = self
    rest.forgetSources()
    return rest
  }

  /// The position in `names` of each term that scores the prompts of a source.
  public func positions(of source: String?) -> [Int] {
    rewards(of: source).terms.compactMap { term in names.firstIndex(of: term.reward.name) }
  }

  /// The position in `names` of a source's main reward: the term with the largest weight, of several the first.
  public func mainPosition(of source: String?) -> Int {
    let terms = rewards(of: source).terms
    var main = 0
    for (index, term) in terms.enumerated() where term.weight > terms[main].weight { main = index }
    return positions(of: source)[main]
  }

  /// The parts of a score by name, of the rewards that apply.
  public func named(_ score: Score, of prompt: Prompt) -> [String: Double] {
    score.parts(named: names)
  }

  /// Whether a completion is right: its main reward reaches the threshold. A completion without a score is not right.
  public func isRight(_ outcome: Outcome, of prompt: Prompt, threshold: Double) -> Bool {
    guard let score = outcome.score, let part = score.parts[mainPosition(of: prompt.source)] else { return false }
    return part >= threshold
  }

  /// Scores the items of each source by the source's rewards. A score has a part for each of `names`, 0 for rewards of
  /// other sources.
  func outcomesBySource(_ items: [RewardItem]) throws(RewardError) -> [Outcome] {
    var result = [Outcome?](repeating: nil, count: items.count)
    for source in Self.distinct(items.map(\.prompt.source)) {
      let indices = items.indices.filter { items[$0].prompt.source == source }
      let positions = positions(of: source)
      let outcomes = try rewards(of: source).outcomes(indices.map { items[$0] })
      for (index, outcome) in zip(indices, outcomes) {
        guard let score = outcome.score else {
          result[index] = outcome
          continue
        }
        var parts = [Double?](repeating: nil, count: names.count)
        for (position, part) in zip(positions, score.parts) { parts[position] = part }
        result[index] = .scored(Score(total: score.total, parts: parts, metrics: score.metrics))
      }
    }
    return result.compactMap { $0 }
  }

  /// The sources in order of first appearance.
  private static func distinct(_ sources: [String?]) -> [String?] {
    var found: [String?] = []
    for source in sources where !found.contains(source) { found.append(source) }
    return found
  }
}
