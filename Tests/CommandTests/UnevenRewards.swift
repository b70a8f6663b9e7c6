/// Settings that give different rewards within nearly every group of an untrained model: a uniform group has no
/// gradient.
enum UnevenRewards {
  static let settings = ["rl.num_trajectories=8", "data.rewards=[{name: format, pattern: '[a-m]'}]"]
}
