import Errors

/// A rule of the model's configuration that a value violates.
public struct ConfigurationIssue: QuillanError, Equatable {
  /// The key in the `model` section, as YAML spells it.
  public let key: String
  /// The rule, and the value that violates it.
  public let rule: String

  /// Creates an issue with one key.
  public init(key: String, rule: String) {
    self.key = key
    self.rule = rule
  }

  public var status: ErrorStatus { .usage }
  public var problem: String { "model.\(key) \(rule)" }
}
