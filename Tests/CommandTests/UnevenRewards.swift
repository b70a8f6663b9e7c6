/// Rewards that differ between almost any two completions of a model that has learned nothing: where all are equal, an
/// update moves nothing.
enum UnevenRewards {
  static let setting =
    "data.rewards=["
    + zip(["[a-m]", "[n-z]", "[0-9]", "[A-M]", "[N-Z]", "[!-/]"], [1, 0.5, 0.25, 0.125, 0.0625, 0.03125])
    .map { "{name: format, pattern: '\($0)', weight: \($1)}" }.joined(separator: ", ") + "]"
}
