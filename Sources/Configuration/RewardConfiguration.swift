/// One term of the reward (an item of `data.rewards`); the reward is the weighted sum.
public struct RewardConfiguration: Sendable, Equatable {
  /// The kinds of reward.
  public enum Name: String, Sendable, CaseIterable {
    /// 1 where the completion equals the answer.
    case exactMatch = "exact_match"
    /// The share of positions that equal the answer's.
    case partialCredit = "partial_credit"
    /// 1 where the last number (or the one after `####`, or in `\boxed{}`) equals the answer's.
    case numericMatch = "numeric_match"
    /// 1 where the completion matches `pattern`.
    case format
    /// 1 at `length` tokens or fewer, falling beyond.
    case length
    /// What the program `command` says.
    case command
  }

  /// Which reward.
  public var name = Name.exactMatch
  /// Its factor in the sum.
  public var weight = 1.0
  /// The regular expression of `format`.
  public var pattern: String?
  /// The length in tokens of `length`.
  public var length: Int?
  /// Program and arguments of `command`.
  public var command: [String] = []
  /// What `command` is called in metrics; nil: `command`.
  public var label: String?
  /// Processes of `command` on each rank.
  public var workers = 1
  /// Completions that a process of `command` is given at a time.
  public var batch = 16
  /// Seconds that `command` may take for one completion.
  public var timeout = 10.0
  /// Seconds that a new process of `command` may take for its first answer.
  public var startTimeout = 60.0

  /// What the term is called in metrics.
  public var termName: String { name == .command ? label ?? "command" : name.rawValue }

  /// The defaults: exact match with weight 1.
  public init() {}
}

extension RewardConfiguration: ConfigurationGroup {
  static let requiredKeys = ["name"]
  static let fields: [ConfigurationField<RewardConfiguration>] = [
    .choice("name", \.name, "which reward; command needs none"),
    .real("weight", \.weight, .finite, "factor in the sum of rewards"),
    .optionalText("pattern", \.pattern, "regular expression (format)"),
    .optionalWhole("length", \.length, "tokens (length)"),
    .texts("command", \.command, "program and arguments; answers each JSON line by one (command)"),
    .optionalText("label", \.label, "what it is called in metrics (command)"),
    .whole("workers", \.workers, in: 1...1024, "processes on each rank (command)"),
    .whole("batch", \.batch, in: 1...65536, "completions given at a time (command)"),
    .real("timeout", \.timeout, .positive, "seconds for one completion (command)"),
    .real("start_timeout", \.startTimeout, .positive, "seconds for a process's first answer (command)"),
  ]

  static func finish(_ group: inout RewardConfiguration, keys: Set<String>) {
    if keys.contains("command"), !keys.contains("name") { group.name = .command }
  }

  /// `command` alone says which reward it is.
  static func missingKey(_ keys: Set<String>) -> String? {
    keys.contains("name") || keys.contains("command") ? nil : "name"
  }
}
