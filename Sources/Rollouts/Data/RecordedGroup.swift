/// One sequence of a recorded trajectory: tokens, and which of them the recorded policy generated.
public struct RecordedSequence: Equatable, Sendable {
  public let tokens: [Int32]
  /// Whether token t was generated; only those are optimised. The first never is.
  public let mask: [Bool]
  /// The recorded policy's log-probability of each generated token; nil where it was not recorded.
  public let logProbabilities: [Float]?

  public init(tokens: [Int32], mask: [Bool], logProbabilities: [Float]? = nil) {
    precondition(mask.count == tokens.count, "\(mask.count) mask values for \(tokens.count) tokens")
    precondition(mask.first != true, "the first token of a sequence has no prediction")
    self.tokens = tokens
    self.mask = mask
    self.logProbabilities = logProbabilities
  }
}

/// A recorded trajectory: one sequence, or several where its steps do not extend one another.
public struct RecordedTrajectory: Equatable, Sendable {
  public let sequences: [RecordedSequence]
  /// Nil: no score; the trajectory is left out of its group.
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
