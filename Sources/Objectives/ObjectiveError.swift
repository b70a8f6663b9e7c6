/// A group's rewards cannot be turned into advantages.
public enum ObjectiveError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The reward of a trajectory (its index in the group) is NaN or infinite.
  case nonFiniteReward(trajectory: Int, reward: Double)
  /// The rewards are finite, but their spread does not fit a double.
  case rewardsOverflow(largest: Double)

  public var description: String {
    switch self {
    case .nonFiniteReward(let trajectory, let reward):
      "trajectory \(trajectory) of the group has reward \(reward); correct the reward function to return finite numbers"
    case .rewardsOverflow(let largest):
      "rewards up to \(largest) in size overflow the standard deviation; scale the rewards down"
    }
  }
}
