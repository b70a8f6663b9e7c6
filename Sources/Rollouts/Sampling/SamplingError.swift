/// A distribution that no token can be drawn from, in one line.
public struct SamplingError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The global number of the trajectory, and the position in it that was to be drawn.
  public let trajectory: UInt64
  public let position: Int

  public init(trajectory: UInt64, position: Int) {
    self.trajectory = trajectory
    self.position = position
  }

  public var description: String {
    "the model's logits at position \(position) of trajectory \(trajectory) are not finite, so no token can be drawn: its "
      + "weights have diverged; use earlier ones"
  }
}
