import Rollouts

extension DataConfiguration {
  /// The effective version.
  public var split: SplitVersion { splitVersion ?? .current }

  /// The keys of the section in version 0.1. A configuration that has all of them but no `split_version` is the complete
  /// configuration of a run of that version: its config.yaml, or that of one of its checkpoints.
  static let firstKeys: Set<String> = [
    "task", "prompts", "trajectories", "text", "held_out", "tokenizer", "tokenizer_file", "merges_file", "end_token",
    "template", "max_prompt_len", "truncation", "rewards",
  ]

  /// Sets split version 1 if the keys show that version 0.1 wrote the configuration.
  mutating func recognizeFirstVersion(keys: Set<String>) {
    if !keys.contains("split_version"), keys.isSuperset(of: Self.firstKeys) { splitVersion = .byNumber }
  }
}

extension ConfigurationField<RunConfiguration> {
  /// `data.split_version`: 1, 2 or null.
  static let splitVersion = field(
    "split_version", \.data.splitVersion, kind: "1, 2 or null",
    "how problems are held out and ordered: 2 by their text, 1 as in version 0.1; null: as in the checkpoint, or 2"
  ) { node in
    if node.isNull { return .value(nil) }
    guard let text = node.plainText, let number = Int(text), let version = SplitVersion(rawValue: number) else {
      return .mismatch("1, 2 or null")
    }
    return .value(version)
  } write: {
    $0.map { String($0.rawValue) } ?? "null"
  }
}
