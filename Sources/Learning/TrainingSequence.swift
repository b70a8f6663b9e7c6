import Objectives
import Rollouts

/// One sequence of an optimizer step: T tokens, N trained tokens, B latent bits.
public struct TrainingSequence: Sendable {
  /// Global number of the sequence; determines its random numbers.
  public let id: UInt64
  /// [T]
  public let tokens: [Int32]
  /// Positions of the trained tokens [N], ascending and above 0. The model predicts each token at the position before
  /// it.
  public let positions: [Int]
  /// Packed latents of every position [T · ⌈B/8⌉]; empty without diffusion, or before sampling.
  public var latents: [UInt8]
  /// dLoss/dL_aux and dLoss/dL_diff of the sequence.
  public var auxiliaryWeight: Float = 0
  public var diffusionWeight: Float = 0
  /// Index of the record of the sequence among the records of its unit.
  public var record = 0
  /// The membership of a trajectory in a group; nil in pre-training.
  public var member: GroupMember?

  public init(id: UInt64, tokens: [Int32], positions: [Int], latents: [UInt8] = []) {
    self.id = id
    self.tokens = tokens
    self.positions = positions
    self.latents = latents
  }

  /// The sequence of trajectory `index` of a group.
  public init(_ trajectory: Trajectory, index: Int, of objective: GroupObjective, group: UInt64) {
    self.init(
      id: trajectory.id, tokens: trajectory.tokens, positions: trajectory.generatedPositions,
      latents: trajectory.latents)
    auxiliaryWeight = Float(objective.configuration.auxLossCoef * objective.trajectoryWeight)
    diffusionWeight = Float(objective.configuration.diffusionLossCoef * objective.trajectoryWeight)
    member = GroupMember(
      group: group, index: index, objective: objective, oldLogProbabilities: trajectory.logProbabilities,
      isFinished: trajectory.finished)
  }
}

/// The membership of a trajectory in the objective of its group. N generated tokens.
public struct GroupMember: Sendable {
  /// Global number of the group.
  public let group: UInt64
  /// Index of the trajectory in the group.
  public let index: Int
  public let objective: GroupObjective
  /// log π_old of the generated tokens [N].
  public let oldLogProbabilities: [Float]
  /// log π_ref of the generated tokens [N]; nil without a reference.
  public var referenceLogProbabilities: [Float]?
  /// Whether the end token ended the generation.
  public let isFinished: Bool
}
