/// One term of the reward (an item of `data.rewards`); the reward is the weighted sum.
public struct RewardConfiguration: Sendable, Equatable {
  /// The kinds of reward.
  public enum Name: String, Sendable, CaseIterable {
    /// 1 if the completion equals the answer.
    case exactMatch = "exact_match"
    /// The fraction of positions that agree with the answer.
    case partialCredit = "partial_credit"
    /// 1 if the last number (or the number after `####` or in `\boxed{}`) equals that of the answer.
    case numericMatch = "numeric_match"
    /// 1 if the completion matches `pattern`.
    case format
    /// 1 up to `length` tokens, decreasing beyond.
    case length
    /// The result of the program `command`.
    case command
  }

  /// Which reward.
  public var name = Name.exactMatch
  /// Its factor in the sum.
  public var weight = 1.0
  /// The regular expression of `format`.
  public var pattern: String?
  /// The number of tokens of `length`.
  public var length: Int?
  /// Program and arguments of `command`.
  public var command: [String] = []
  /// The name of a `command` term in metrics; nil means `command`.
  public var label: String?
  /// Processes of `command` on each rank.
  public var workers = 1
  /// Completions that a process of `command` receives at a time.
  public var batch = 16
  /// Maximum seconds of `command` per completion.
  public var timeout = 10.0
  /// Maximum seconds until the first answer of a new process of `command`.
  public var startTimeout = 60.0

  /// The name of the term in metrics.
  public var termName: String { name == .command ? label ?? "command" : name.rawValue }

  /// The defaults: exact match with weight 1.
  public init() {}
}

extension RewardConfiguration: ConfigurationGroup {
  static let requiredKeys = ["name"]
  static let fields: [ConfigurationField<RewardConfiguration>] = [
    .choice("name", \.name, "which reward; optional with command"),
    .real("weight", \.weight, .finite, "factor in the sum of rewards"),
    .optionalText("pattern", \.pattern, "regular expression (format)"),
    .optionalWhole("length", \.length, "tokens (length)"),
    .texts("command", \.command, "program and arguments; the program answers each JSON line with one line (command)"),
    .optionalText("label", \.label, "name in metrics (command)"),
    .whole("workers", \.workers, in: 1...1024, "processes on each rank (command)"),
    .whole("batch", \.batch, in: 1...65536, "completions per call of a process (command)"),
    .real("timeout", \.timeout, .positive, "seconds for one completion (command)"),
    .real("start_timeout", \.startTimeout, .positive, "seconds for a process's first answer (command)"),
  ]

  static func finish(_ group: inout RewardConfiguration, keys: Set<String>) {
    if keys.contains("command"), !keys.contains("name") { group.name = .command }
  }

  /// `name` may be omitted if `command` is given.
  static func missingKey(_ keys: Set<String>) -> String? {
    keys.contains("name") || keys.contains("command") ? nil : "name"
  }
}
