import Errors

/// A distribution from which no token can be drawn.
public struct SamplingError: QuillanError, Equatable {
  /// The global number of the trajectory, and the position of the token.
  public let trajectory: UInt64
  public let position: Int

  public init(trajectory: UInt64, position: Int) {
    self.trajectory = trajectory
    self.position = position
  }

  public var status: ErrorStatus { .failure }
  public var problem: String {
    "the model's logits at position \(position) of trajectory \(trajectory) are not finite, so no token can be drawn: its "
      + "weights have diverged"
  }
  public var remedy: String? { "use earlier weights" }
}
