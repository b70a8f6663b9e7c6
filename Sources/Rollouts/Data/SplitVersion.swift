/// How problems are divided into a training and a held-out part, and in which order they are drawn
/// (`data.split_version`). A run keeps the version that it began with, or it would be evaluated on what it was trained on.
public enum SplitVersion: Int, CaseIterable, Sendable {
  /// As in version 0.1 of this program: a task's problem is held out by its choices, which count from `minimum_digits`; a
  /// text by its bytes as they are written. Demonstrations and reinforcement draw the same prompts in the same order.
  case byNumber = 1
  /// A problem is held out by its text alone, whatever the settings of the task. Reinforcement draws its prompts in an
  /// order of its own.
  case byText = 2

  /// What a new run has.
  public static let current = byText
}

/// What prompts are drawn for: each has an order of its own.
public enum PromptUse: Sendable {
  case demonstrations
  case reinforcement
}
