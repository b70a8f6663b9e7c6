/// One sequence of a recorded trajectory: tokens, and whether the recorded policy generated each.
public struct RecordedSequence: Equatable, Sendable {
  public let tokens: [Int32]
  /// Whether token t was generated; only generated tokens are optimised. The first token never is.
  public let mask: [Bool]
  /// The recorded policy's log-probability of each generated token; nil if not recorded.
  public let logProbabilities: [Float]?

  public init(tokens: [Int32], mask: [Bool], logProbabilities: [Float]? = nil) {
    precondition(mask.count == tokens.count, "\(mask.count) mask values for \(tokens.count) tokens")
    precondition(mask.first != true, "the first token of a sequence has no prediction")
    self.tokens = tokens
    self.mask = mask
    self.logProbabilities = logProbabilities
  }
}

/// A recorded trajectory: one sequence, or several if its steps do not extend one another.
public struct RecordedTrajectory: Equatable, Sendable {
  public let sequences: [RecordedSequence]
  /// Nil if the trajectory has no score: it is then left out of its group.
  public let reward: Double?

  public init(sequences: [RecordedSequence], reward: Double?) {
    self.sequences = sequences
    self.reward = reward
  }
}

/// The recorded trajectories of one question.
public struct RecordedGroup: Equatable, Sendable {
  public let question: String
  public let trajectories: [RecordedTrajectory]
  /// `file:line`, for messages.
  public let origin: String

  public init(question: String, trajectories: [RecordedTrajectory], origin: String) {
    self.question = question
    self.trajectories = trajectories
    self.origin = origin
  }
}
