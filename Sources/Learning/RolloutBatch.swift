import MPI
import Rollouts

/// This rank's groups of a step with their prompts, completions and scores.
public struct RolloutBatch: Sendable {
  /// The groups that can be trained on, in order of their numbers; trajectories without a score are left out.
  public private(set) var groups: [TrajectoryGroup] = []
  public private(set) var samples: [CompletionSample] = []
  /// What became of each sampled group, in the same order; a group that is not kept has a record too.
  private(set) var records: [RolloutRecord] = []
  /// Seconds that the scorers took.
  var rewardSeconds = 0.0
  /// Figures that rewards gave beside their scores, in the order of the trajectories.
  private(set) var figures: [Figure] = []

  /// A figure of one trajectory.
  package struct Figure: RankRecord {
    let group: UInt64
    let name: String
    let value: Double
  }

  /// A completion with what its scorers said.
  struct Scored {
    let trajectory: Trajectory
    let completion: String
    let outcome: WeightedRewards.Outcome
    /// Added to the reward, not to what dynamic sampling looks at.
    let shaping: Double
    /// Text and log-probability of each generated token, of the trajectories that are shown.
    let tokens: [CompletionSample.Token]
  }

  /// How a group of completions becomes one to train on.
  struct Rules {
    /// The rewards' names, in the order of the scores' parts.
    let rewardNames: [String]
    /// Whether groups whose raw rewards are all equal are dropped (DAPO's dynamic sampling).
    let dropsUniform: Bool
    /// Whether the tokens of trajectories that met the length limit are left out of the loss.
    let filtersOverlong: Bool
  }

  /// Adds one group: drops its unscored trajectories, and the group where fewer than two are left of several.
  mutating func add(number: UInt64, _ prompt: Prompt, _ members: [Scored], _ rules: Rules) {
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
    record.fate = Self.fate(raw, of: members.count, dropsUniform: rules.dropsUniform)
    if record.fate == .kept { groups.append(group) }
    records.append(record)
  }

  /// Adds a recorded group, whose trajectories without a score are left out already.
  ///
  /// - Parameter rewards: of each scored trajectory.
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

  /// Adds what was sampled later.
  mutating func append(_ later: RolloutBatch) {
    groups += later.groups
    samples += later.samples
    records += later.records
    figures += later.figures
    rewardSeconds += later.rewardSeconds
  }

  private func sample(_ prompt: Prompt, _ member: Scored, reward: Double, rewards: [String: Double])
    -> CompletionSample
  {
    CompletionSample(
      prompt: prompt.text, completion: member.completion, answer: prompt.answer, reward: reward, rewards: rewards,
      tokens: member.tokens)
  }
}
