/// One sampled sequence: a prompt and the tokens that the policy generated for it.
///
/// Shapes: T tokens, N of them generated, B latent bits. Token t is predicted from position t − 1.
public struct Trajectory: Sendable, Equatable {
  /// The global trajectory number, the same on every rank: the sequence id of its random numbers.
  public let id: UInt64
  /// The id that keys the latents of prompt positions: that of the group's first trajectory.
  public let promptID: UInt64
  public let promptLength: Int
  /// [T]
  public let tokens: [Int32]
  /// Whether the policy generated token t [T]; only generated tokens are optimised.
  public let mask: [Bool]
  /// Latents of every position [T, ⌈B/8⌉], eight bits per byte; empty without diffusion.
  public let latents: [UInt8]
  /// log π_old of each generated token [N].
  public let logProbabilities: [Float]
  /// Whether generation ended with the end token.
  public let finished: Bool
  /// Positions of the generated tokens, in order [N].
  public let generatedPositions: [Int]

  public init(
    id: UInt64, promptID: UInt64, promptLength: Int, tokens: [Int32], mask: [Bool], latents: [UInt8],
    logProbabilities: [Float], finished: Bool
  ) {
    precondition(mask.count == tokens.count, "\(mask.count) mask values for \(tokens.count) tokens")
    precondition(mask.first != true, "the first token of a sequence has no prediction")
    self.id = id
    self.promptID = promptID
    self.promptLength = promptLength
    self.tokens = tokens
    self.mask = mask
    self.latents = latents
    self.logProbabilities = logProbabilities
    self.finished = finished
    generatedPositions = mask.indices.filter { mask[$0] }
  }

  /// The id of the demonstration of group 0; sampled trajectories have lower ids.
  public static let firstDemonstration: UInt64 = 1 << 47

  /// Whether the completion is the answer of the prompt, which no policy sampled.
  public var isDemonstration: Bool { id >= Self.firstDemonstration }

  public var generatedTokens: [Int32] { generatedPositions.map { tokens[$0] } }

  /// A copy without tokens to optimise: it counts only in its group's statistics.
  public var withoutLoss: Trajectory {
    Trajectory(
      id: id, promptID: promptID, promptLength: promptLength, tokens: tokens, mask: mask.map { _ in false },
      latents: latents, logProbabilities: [], finished: finished)
  }
}

/// The trajectories of one prompt, with their rewards.
public struct TrajectoryGroup: Sendable {
  /// The trajectories that a policy sampled.
  public var sampled: [Trajectory] { trajectories.filter { !$0.isDemonstration } }

  /// The global group number.
  public let id: UInt64
  public var trajectories: [Trajectory]
  public var rewards: [Double]
  /// The trajectory of the group that each sequence of `trajectories` belongs to, if a recorded trajectory has several
  /// sequences: they share its reward and advantage, and it counts once. Nil: each sequence is a trajectory.
  public var owners: [Int]?

  public init(id: UInt64, trajectories: [Trajectory], rewards: [Double] = [], owners: [Int]? = nil) {
    self.owners = owners
    self.id = id
    self.trajectories = trajectories
    self.rewards = rewards
  }

  /// Prompt and completion tokens.
  public var tokens: Int { trajectories.reduce(0) { $0 + $1.tokens.count } }
}
