import Rollouts

/// One source of prompts (an item of `data.sources` or `evaluation.sources`).
public struct DataSourceConfiguration: Sendable, Equatable {
  /// The name in metrics and messages.
  public var name = ""
  /// A file of prompts; exactly one of `prompts` and `task` is set.
  public var prompts: String?
  /// A built-in task.
  public var task: TaskConfiguration?
  /// The relative share of the draws.
  public var weight = 1.0
  /// The fraction that is held out; nil means `data.held_out`.
  public var heldOut: Double?
  /// The text that the model reads; nil means `data.template`.
  public var template: String?
  /// Maximum tokens of a prompt; nil means `data.max_prompt_len`.
  public var maxPromptLen: Int?
  /// The terms of the reward; empty means `data.rewards`.
  public var rewards: [RewardConfiguration] = []
  /// The members of the file's objects; nil means `data.members`.
  public var members: MemberConfiguration?

  /// The defaults, without a name and prompts.
  public init() {}
}

extension DataSourceConfiguration: ConfigurationGroup {
  static let requiredKeys = ["name"]
  static let fields: [ConfigurationField<DataSourceConfiguration>] = [
    .text("name", \.name, "name in metrics"),
    .optionalPath("prompts", \.prompts, "file of prompts and answers"),
    .optionalGroup("task", \.task, "a built-in task"),
    .real("weight", \.weight, .positive, "relative share of the draws (data.sources)"),
    .optionalReal("held_out", \.heldOut, .properFraction, "default: data.held_out (data.sources)"),
    .optionalText("template", \.template, "default: data.template"),
    .optionalWhole("max_prompt_len", \.maxPromptLen, "default: data.max_prompt_len"),
    .groups("rewards", \.rewards, "default: data.rewards"),
    .optionalGroup("members", \.members, "default: data.members"),
  ]

  /// Why the name cannot be part of metric names; nil if it can.
  var nameProblem: String? {
    let isAllowed = name.unicodeScalars.allSatisfy { scalar in
      ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
        || "_-.".unicodeScalars.contains(scalar)
    }
    if !isAllowed || name.count > 60 {
      return "the name '\(ConfigurationText.shortened(name))' must be at most 60 of A-Z, a-z, 0-9, _, - and ."
    }
    // The metrics reward/wait and eval/rewards/… are not those of a source.
    if ["wait", "rewards"].contains(name) { return "'\(name)' is part of other metrics; choose another name" }
    return nil
  }

  /// What a resumed run cannot change: prompts, their order and their tokens. Files are compared by their content.
  public var identity: String {
    var same = self
    (same.prompts, same.rewards, same.template) = (prompts.map { _ in "file" }, [], nil)
    return Self.write(same)
  }
}

/// The members of data files that hold prompt, answer and text (`data.members`).
public struct MemberConfiguration: Sendable, Equatable {
  /// A text or a list of messages.
  public var prompt: String?
  /// The expected answer.
  public var answer: String?
  /// The document, in files of text for pre-training.
  public var text: String?

  /// The standard names.
  public init() {}
}

extension MemberConfiguration: ConfigurationGroup {
  static let requiredKeys: [String] = []
  static let fields: [ConfigurationField<MemberConfiguration>] = [
    .optionalText("prompt", \.prompt, "default: prompt, or messages if a line lacks prompt"),
    .optionalText("answer", \.answer, "default: answer"),
    .optionalText("text", \.text, "default: text"),
  ]
}

extension DataConfiguration {
  /// Whether prompts are configured in any of three ways.
  public var hasPrompts: Bool { task != nil || prompts != nil || !sources.isEmpty }

  /// The members that hold the prompts of a source; nil: of the only source.
  public func members(of source: DataSourceConfiguration? = nil) -> PromptMembers {
    let chosen = source?.members ?? members
    return PromptMembers(prompt: chosen?.prompt, answer: chosen?.answer, text: chosen?.text)
  }

  /// The terms of the reward for the prompts of a source.
  public func rewards(of source: DataSourceConfiguration) -> [RewardConfiguration] {
    source.rewards.isEmpty ? rewards : source.rewards
  }

  /// The rewards of each set of prompts that a run trains on.
  public var trainedRewards: [[RewardConfiguration]] { sources.isEmpty ? [rewards] : sources.map(rewards) }

  /// The maximum tokens of a prompt of any source.
  public var longestPrompt: Int {
    sources.isEmpty ? maxPromptLen : sources.map { $0.maxPromptLen ?? maxPromptLen }.max() ?? maxPromptLen
  }
}

extension RunConfiguration {
  /// All sources, each with its key.
  var allSources: [(key: String, source: DataSourceConfiguration)] {
    data.sources.map { ("data.sources", $0) } + evaluation.sources.map { ("evaluation.sources", $0) }
  }
}
