/// Rewards that differ within most groups of a model that has learned nothing: an update whose groups have equal rewards
/// would move nothing.
enum UnevenRewards {
  static let setting = "data.rewards=[{name: format, pattern: '[a-m]'}]"
}
