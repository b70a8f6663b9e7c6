/// Settings under which rewards of a model that has learned nothing differ within nearly every group: if all are
/// equal, an update moves nothing.
enum UnevenRewards {
  static let settings = ["rl.num_trajectories=8", "data.rewards=[{name: format, pattern: '[a-m]'}]"]
}
