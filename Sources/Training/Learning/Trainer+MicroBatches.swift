import Objectives
import Rollouts
import Tensors

/// How a step's trajectories are cut into units and micro-batches.
extension Trainer {
  /// A trajectory of the step with its group.
  struct Piece {
    let group: UInt64
    /// The group's place in its unit.
    let place: Int
    let trajectory: Trajectory
    let objective: GroupObjective
    let index: Int
  }

  /// What must not be cut: with reproducible sums each group, otherwise everything this rank has.
  func units(_ groups: [TrajectoryGroup], _ counts: BatchCounts) throws -> [[Unit]] {
    let all = try groups.map { group in
      Unit(
        group: group.id, trajectories: group.trajectories,
        objective: try GroupObjective(
          configuration: objective, rewards: group.rewards,
          tokenCounts: group.trajectories.map { $0.logProbabilities.count }, batch: counts, owners: group.owners))
    }
    if learner.reducer.isReproducible { return all.map { [$0] } }
    return all.isEmpty ? [] : [all]
  }

  struct Unit {
    let group: UInt64
    let trajectories: [Trajectory]
    let objective: GroupObjective
  }

  /// Micro-batches of a unit: `accumulation_steps` equal parts of the trajectories, more where activations are recomputed
  /// to save memory and the parts would be large, or, for reproducible sums, parts that depend on the group alone.
  func split(_ unit: [Unit]) -> [[Piece]] {
    let pieces = unit.enumerated().flatMap { place, unit in
      unit.trajectories.enumerated().map { index, trajectory in
        Piece(group: unit.group, place: place, trajectory: trajectory, objective: unit.objective, index: index)
      }
    }
    if learner.reducer.isReproducible { return Self.cut(pieces, tokens: Self.unitTokens) }
    let tokens = pieces.reduce(0) { $0 + $1.trajectory.tokens.count }
    let parts = min(Self.parts(configuration.rl, tokens: tokens), pieces.count)
    return (0..<parts).map { Array(pieces[WorkerPool.part($0, of: parts, count: pieces.count)]) }
  }

  /// Parts of a unit of `tokens` tokens that is not reproducible.
  static func parts(_ rl: ReinforcementConfiguration, tokens: Int) -> Int {
    guard rl.gradientCheckpointing else { return rl.accumulationSteps }
    return max(rl.accumulationSteps, (tokens - 1) / recomputedTokens + 1)
  }

  /// About as many tokens has a micro-batch whose activations are recomputed: more hardly raise the speed of products, and
  /// what backward keeps for the council's gradients grows with them.
  private static let recomputedTokens = 768

  /// Tokens of a micro-batch of a unit, where its first sequence has no more.
  static let unitTokens = 4096

  private static func cut(_ pieces: [Piece], tokens limit: Int) -> [[Piece]] {
    var parts: [[Piece]] = []
    var tokens = limit
    for piece in pieces {
      if tokens + piece.trajectory.tokens.count > limit {
        parts.append([])
        tokens = 0
      }
      parts[parts.count - 1].append(piece)
      tokens += piece.trajectory.tokens.count
    }
    return parts
  }
}
