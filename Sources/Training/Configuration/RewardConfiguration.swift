/// One term of the reward (an item of `data.rewards`); the reward is the weighted sum.
public struct RewardConfiguration: Sendable, Equatable {
  /// The kinds of reward.
  public enum Name: String, Sendable, CaseIterable {
    /// 1 where the completion equals the answer.
    case exactMatch = "exact_match"
    /// The share of positions that equal the answer's.
    case partialCredit = "partial_credit"
    /// 1 where the last number (or the one after `####`) equals the answer's.
    case numericMatch = "numeric_match"
    /// 1 where the completion matches `pattern`.
    case format
    /// 1 at `length` tokens or fewer, falling beyond.
    case length
  }

  /// Which reward.
  public var name = Name.exactMatch
  /// Its factor in the sum.
  public var weight = 1.0
  /// The regular expression of `format`.
  public var pattern: String?
  /// The length in tokens of `length`.
  public var length: Int?

  /// The defaults: exact match with weight 1.
  public init() {}
}

extension RewardConfiguration: ConfigurationGroup {
  static let requiredKeys = ["name"]
  static let fields: [ConfigurationField<RewardConfiguration>] = [
    .choice("name", \.name, "which reward"),
    .real("weight", \.weight, .finite, "factor in the sum of rewards"),
    .optionalText("pattern", \.pattern, "regular expression (format)"),
    .optionalWhole("length", \.length, "tokens (length)"),
  ]
}
