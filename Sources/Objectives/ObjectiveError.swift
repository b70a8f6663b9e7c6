import Errors

/// A group's rewards cannot be turned into advantages.
public enum ObjectiveError: QuillanError, Equatable {
  /// The reward of a trajectory (its index in the group) is NaN or infinite.
  case nonFiniteReward(trajectory: Int, reward: Double)
  /// The rewards are finite, but their spread does not fit a double.
  case rewardsOverflow(largest: Double)

  public var status: ErrorStatus { .failure }

  public var place: String? {
    switch self {
    case .nonFiniteReward(let trajectory, _): "trajectory \(trajectory) of the group"
    case .rewardsOverflow: nil
    }
  }

  public var problem: String {
    switch self {
    case .nonFiniteReward(_, let reward): "the reward is \(reward)"
    case .rewardsOverflow(let largest): "rewards up to \(largest) in size overflow the standard deviation"
    }
  }

  public var remedy: String? {
    switch self {
    case .nonFiniteReward: "correct the reward function to return finite numbers"
    case .rewardsOverflow: "scale the rewards down"
    }
  }
}
