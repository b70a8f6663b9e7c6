import Errors
import Models
import Rollouts

extension RunConfiguration {
  /// The first violated rule about sources, members and measures of evaluation.
  func sourceIssue() -> ConfigurationIssue? {
    if !data.sources.isEmpty, data.task != nil || data.prompts != nil {
      return ConfigurationIssue(
        key: "data.sources",
        rule:
          "cannot be combined with data.\(data.task != nil ? "task" : "prompts"); make it one of the sources or set it "
          + "to null")
    }
    for (key, source) in allSources {
      let place = "'\(ConfigurationText.shortened(source.name))'"
      if let problem = source.nameProblem { return ConfigurationIssue(key: key, rule: "has a wrong name: \(problem)") }
      if (source.task == nil) == (source.prompts == nil) {
        return ConfigurationIssue(key: key, rule: "\(place) needs either prompts (a file) or task")
      }
      if let template = source.template {
        do throws(PromptTemplateError) { _ = try PromptTemplate(template) } catch {
          return ConfigurationIssue(key: key, rule: "\(place).template has \(error.problem)")
        }
      }
      let room = model.maxSeqLen - objective.maxTrajectoryLen
      if let length = source.maxPromptLen, length > room {
        return ConfigurationIssue(
          key: key,
          rule: "\(place).max_prompt_len must leave room for rl.max_trajectory_len: at most \(room), got \(length)")
      }
      if let issue = rewardIssue(source.rewards, key: key, place: "\(place).rewards") { return issue }
    }
    return shareIssue() ?? nameIssue() ?? metricIssue()
  }

  private func shareIssue() -> ConfigurationIssue? {
    let sum = data.sources.reduce(0) { $0 + $1.weight }
    let least = 1 / Double(PromptMixture.largestBlock)
    if let source = data.sources.first(where: { $0.weight < least * sum }) {
      return ConfigurationIssue(
        key: "data.sources",
        rule: "gives '\(source.name)' less than 1/\(PromptMixture.largestBlock) of the draws; raise its weight")
    }
    if let source = evaluation.sources.first(where: { $0.weight != 1 || $0.heldOut != nil }) {
      return ConfigurationIssue(
        key: "evaluation.sources",
        rule: "'\(source.name)' is evaluated completely: remove its \(source.heldOut == nil ? "weight" : "held_out")")
    }
    return nil
  }

  /// Names are parts of metric names, so they must differ.
  private func nameIssue() -> ConfigurationIssue? {
    var taken: Set<String> = []
    for source in data.sources where !taken.insert(source.name).inserted {
      return ConfigurationIssue(key: "data.sources", rule: "has two sources '\(source.name)'; rename one")
    }
    // A source without a held-out part has no evaluation of its own.
    taken = Set(data.sources.filter { ($0.heldOut ?? data.heldOut) > 0 }.map(\.name))
    for name in evaluationTaskNames + evaluation.sources.map(\.name) where !taken.insert(name).inserted {
      return ConfigurationIssue(
        key: "evaluation.sources",
        rule: "two evaluations have the name '\(name)'; rename one, or set the held_out of the "
          + "source in data.sources to 0")
    }
    return nil
  }

  private func metricIssue() -> ConfigurationIssue? {
    guard let metric = evaluation.metric else { return nil }
    let names = evaluationMetrics
    guard !names.contains(Self.metricName(metric)) else { return nil }
    let nearest = KeyDistance.nearest(to: metric, among: names) ?? "reward"
    return ConfigurationIssue(
      key: "evaluation.metric",
      rule: "'\(ConfigurationText.shortened(metric))' is not measured with these settings; did you mean '\(nearest)'? "
        + "(one of \(names.prefix(12).joined(separator: ", "))\(names.count > 12 ? ", …" : ""))")
  }

  /// The names of `evaluation.tasks` in metrics: the task's name, with its number in the list if two tasks share a
  /// name.
  public var evaluationTaskNames: [String] {
    evaluation.tasks.enumerated().map { index, task in
      let isAlone = evaluation.tasks.count { $0.name == task.name } == 1
      return isAlone ? task.name.rawValue : "\(task.name.rawValue)-\(index + 1)"
    }
  }

  /// The metric without the prefix `eval/`, which is optional in `evaluation.metric`.
  public static func metricName(_ metric: String) -> String {
    metric.hasPrefix("eval/") ? String(metric.dropFirst("eval/".count)) : metric
  }

  /// The metrics that `evaluation.metric` can name, without the prefix `eval/`.
  public var evaluationMetrics: [String] {
    let samples = evaluation.samples
    var measures = ["exact_match", "pass_rate", "reward"]
    if samples > 0 {
      let powers = (0..<17).map { 1 << $0 }.filter { $0 < samples }
      measures += ["mean@\(samples)"] + (powers + [samples]).map { "pass@\($0)" }
    }
    func names(_ prefix: String, _ rewards: [RewardConfiguration]) -> [String] {
      (measures + rewards.map { "rewards/\($0.termName)" }).map { prefix + $0 }
    }
    var all = names("", data.trainedRewards.flatMap { $0 })
    for source in data.sources where (source.heldOut ?? data.heldOut) > 0 {
      all += names("\(source.name)/", data.rewards(of: source))
    }
    for source in evaluation.sources { all += names("\(source.name)/", data.rewards(of: source)) }
    for name in evaluationTaskNames { all += names("\(name)/", data.rewards) }
    if data.text != nil { all += ["bits_per_byte", "cross_entropy"] }
    var seen: Set<String> = []
    return all.filter { seen.insert($0).inserted }
  }

  /// The first violated rule of a list of rewards.
  ///
  /// - Parameter place: stands between the key and the number in the list.
  func rewardIssue(_ rewards: [RewardConfiguration], key: String, place: String = "") -> ConfigurationIssue? {
    for (index, reward) in rewards.enumerated() {
      let place = "\(place)[\(index)]"
      if reward.name == .format, reward.pattern == nil {
        return ConfigurationIssue(key: key, rule: "\(place) 'format' needs a pattern (regular expression)")
      }
      if (reward.name == .command) == reward.command.isEmpty {
        return ConfigurationIssue(
          key: key,
          rule: reward.command.isEmpty
            ? "\(place) 'command' needs a command: a list of program and arguments"
            : "\(place) '\(reward.name.rawValue)' takes no command; remove name or command")
      }
      if reward.name == .length, reward.length == nil {
        return ConfigurationIssue(key: key, rule: "\(place) 'length' needs a length in tokens")
      }
    }
    return nil
  }
}
