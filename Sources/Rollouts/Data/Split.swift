/// The two disjoint parts of a set of problems.
public enum Split: String, CaseIterable, Sendable {
  case train
  case heldOut = "held_out"
}

/// How problems are divided into a training and a held-out part, and in which order they are drawn
/// (`data.split_version`). A run keeps its first version; otherwise it would be evaluated on problems that it trained
/// on.
public enum SplitVersion: Int, CaseIterable, Sendable {
  /// As in version 0.1 of this program: a hash of a problem's choices, which count from `minimum_digits`, or of a
  /// text's bytes decides. Demonstrations and reinforcement draw the same prompts in the same order.
  case byNumber = 1
  /// A hash of the problem's text decides, for all settings of the task. Reinforcement draws its prompts in a different
  /// order.
  case byText = 2

  /// The version of a new run.
  public static let current = byText
}

/// The purpose that prompts are drawn for, which decides their order.
public enum PromptUse: Sendable {
  case demonstrations
  case reinforcement
}
