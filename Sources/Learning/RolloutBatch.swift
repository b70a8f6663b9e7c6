import MPI
import Rollouts

/// This rank's groups of a step with their prompts, completions and scores.
public struct RolloutBatch: Sendable {
  /// The groups to train on, in order of their numbers, without unscored trajectories.
  public private(set) var groups: [TrajectoryGroup] = []
  public private(set) var samples: [CompletionSample] = []
  /// The outcome of each sampled group, in the same order, dropped groups included.
  private(set) var records: [RolloutRecord] = []
  /// Seconds spent in the scorers.
  var rewardSeconds = 0.0
  /// Seconds that this rank waited for scores after the last token.
  var rewardWaitSeconds = 0.0
  /// Further metrics that rewards return with their scores, in the order of the trajectories.
  private(set) var figures: [Figure] = []

  /// A metric of one trajectory.
  package struct Figure: RankRecord {
    let group: UInt64
    let name: String
    let value: Double
  }

  /// A completion and the outcome of its scoring.
  struct Scored {
    let trajectory: Trajectory
    let completion: String
    let outcome: WeightedRewards.Outcome
    /// Added to the reward; dynamic sampling ignores it.
    let shaping: Double
    /// Text and log-probability of each generated token, if reports show the trajectory token by token.
    let tokens: [CompletionSample.Token]
  }

  /// How to make a group to train on from scored completions.
  struct Rules {
    /// The names of the rewards, in the order of the scores' parts.
    let rewardNames: [String]
    /// Whether to drop groups whose raw rewards are all equal (DAPO's dynamic sampling).
    let dropsUniform: Bool
    /// Whether the loss excludes the tokens of trajectories that reached the length limit.
    let filtersOverlong: Bool
  }

  /// Adds one group without its unscored trajectories. Drops the group if fewer than two of several trajectories have a
  /// score.
  ///
  /// - Parameter demonstration: the answer of the prompt, which joins the group if it has a score, but no metric.
  mutating func add(
    number: UInt64, _ prompt: Prompt, _ members: [Scored],
    demonstration: (trajectory: Trajectory, outcome: WeightedRewards.Outcome)? = nil, _ rules: Rules
  ) {
    var group = TrajectoryGroup(id: number, trajectories: [])
    var record = RolloutRecord(number: number, digest: prompt.digest, parts: rules.rewardNames.count)
    var raw: [Double] = []
    for member in members {
      record.count(member.trajectory)
      switch member.outcome {
      case .unscored(_, let reason):
        record.unscored[reason, default: 0] += 1
        samples.append(sample(prompt, member, reward: .nan, rewards: [:]))
      case .scored(let score):
        let reward = score.total + member.shaping
        raw.append(score.total)
        group.rewards.append(reward)
        group.trajectories.append(
          rules.filtersOverlong && !member.trajectory.finished ? member.trajectory.withoutLoss : member.trajectory)
        record.add(score)
        for (name, value) in score.metrics.sorted(by: { $0.key < $1.key }) {
          figures.append(Figure(group: number, name: name, value: value))
        }
        samples.append(
          sample(
            prompt, member, reward: reward,
            rewards: Dictionary(zip(rules.rewardNames, score.parts)) { first, _ in first }))
      }
    }
    if !raw.isEmpty, let demonstration, case .scored(let score) = demonstration.outcome {
      raw.append(score.total)
      group.rewards.append(score.total)
      group.trajectories.append(demonstration.trajectory)
    }
    record.fate = Self.fate(raw, of: members.count, dropsUniform: rules.dropsUniform)
    if record.fate == .kept { groups.append(group) }
    records.append(record)
  }

  /// Adds a recorded group that no longer contains unscored trajectories.
  ///
  /// - Parameter rewards: the reward of each scored trajectory.
  mutating func add(
    _ group: TrajectoryGroup, _ recorded: RecordedGroup, rewards: [Double], dropsUniform: Bool,
    _ tokenizer: any Tokenizer
  ) {
    let prompt = Prompt(id: Int64(group.id), text: recorded.question, answer: "", origin: recorded.origin)
    var record = RolloutRecord(number: group.id, digest: prompt.digest, parts: 0)
    for trajectory in group.trajectories { record.count(trajectory) }
    for reward in rewards { record.add(WeightedRewards.Score(total: reward, parts: [], metrics: [:])) }
    let missing = recorded.trajectories.count - rewards.count
    if missing > 0 { record.unscored[.none] = missing }
    record.fate = Self.fate(rewards, of: recorded.trajectories.count, dropsUniform: dropsUniform)
    if record.fate == .kept { groups.append(group) }
    records.append(record)
    for (trajectory, reward) in zip(group.trajectories, group.rewards) {
      samples.append(
        CompletionSample(
          prompt: recorded.question, completion: tokenizer.decode(trajectory.generatedTokens), answer: nil,
          reward: reward))
    }
  }

  private static func fate(_ raw: [Double], of count: Int, dropsUniform: Bool) -> RolloutRecord.Fate {
    if raw.isEmpty || (raw.count < 2 && count > 1) { return .unscored }
    return dropsUniform && raw.allSatisfy { $0 == raw[0] } ? .uniform : .kept
  }

  /// Appends the batch of a later round.
  mutating func append(_ later: RolloutBatch) {
    groups += later.groups
    samples += later.samples
    records += later.records
    figures += later.figures
    rewardSeconds += later.rewardSeconds
    rewardWaitSeconds += later.rewardWaitSeconds
  }

  private func sample(_ prompt: Prompt, _ member: Scored, reward: Double, rewards: [String: Double])
    -> CompletionSample
  {
    CompletionSample(
      prompt: prompt.text, completion: member.completion, answer: prompt.answer, reward: reward, rewards: rewards,
      tokens: member.tokens)
  }
}
