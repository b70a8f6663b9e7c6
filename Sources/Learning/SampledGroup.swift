import Rollouts

/// A sampled and scored group as all ranks know it.
package struct SampledGroup: Sendable {
  /// How to make a group to train on from scored trajectories.
  struct Rules {
    /// The number of rewards.
    let parts: Int
    /// Whether to drop groups whose raw rewards are all equal (DAPO's dynamic sampling).
    let dropsUniform: Bool
    /// Whether the loss excludes the tokens of trajectories that reached the length limit.
    let filtersOverlong: Bool
  }

  let record: RolloutRecord
  /// The right trajectories, without demonstrations.
  let passes: PassRecord
  /// The group to train on, without unscored trajectories; nil if it is dropped.
  let head: StepGroup.Head?
  /// The index of the item of each member of `head`.
  let items: [Int]

  /// Drops the group if fewer than two of several trajectories have a score. A demonstration joins the group if it has a
  /// score, but no metric.
  ///
  /// - Parameters:
  ///   - outcomes: of all items of the group, in order.
  ///   - missing: number of recorded trajectories without a score, which have no items.
  init(
    number: Int, digest: UInt64, _ outcomes: ArraySlice<TrajectoryOutcome>, missing: Int = 0, _ rules: Rules
  ) {
    var record = RolloutRecord(number: UInt64(number), digest: digest, parts: rules.parts)
    var passes = PassRecord(number: UInt64(number))
    var raw: [Double] = []
    var members: [StepGroup.Member] = []
    var items: [Int] = []
    var trajectories = missing
    var owner: Int?
    func add(_ outcome: TrajectoryOutcome, reward: Double) {
      let isExcluded = rules.filtersOverlong && !outcome.isFinished && !outcome.isDemonstration
      members.append(
        StepGroup.Member(
          tokens: outcome.tokens, generated: isExcluded ? 0 : outcome.generated, reward: reward, owner: outcome.owner,
          isDemonstration: outcome.isDemonstration))
      items.append(outcome.index)
    }
    for outcome in outcomes where !outcome.isDemonstration {
      passes.add(isRight: outcome.isRight, isScored: outcome.score != nil)
      record.count(generated: outcome.generated, isFinished: outcome.isFinished)
      // A recorded trajectory of several sequences counts once.
      let isNew = outcome.owner == nil || outcome.owner != owner
      owner = outcome.owner
      if isNew { trajectories += 1 }
      if let score = outcome.score {
        if isNew {
          raw.append(score.total)
          record.add(score)
        }
        add(outcome, reward: score.total + outcome.shaping)
      } else if let reason = outcome.reason {
        record.unscored[reason, default: 0] += 1
      }
    }
    if missing > 0 { record.unscored[.none, default: 0] += missing }
    for outcome in outcomes where outcome.isDemonstration && !raw.isEmpty {
      guard let score = outcome.score else { continue }
      raw.append(score.total)
      add(outcome, reward: score.total)
    }
    record.fate = Self.fate(raw, of: trajectories, dropsUniform: rules.dropsUniform)
    head = record.fate == .kept ? StepGroup.Head(id: UInt64(number), members: members) : nil
    self.record = record
    self.passes = passes
    self.items = items
  }

  private static func fate(_ raw: [Double], of count: Int, dropsUniform: Bool) -> RolloutRecord.Fate {
    if raw.isEmpty || (raw.count < 2 && count > 1) { return .unscored }
    return dropsUniform && raw.allSatisfy { $0 == raw[0] } ? .uniform : .kept
  }
}
