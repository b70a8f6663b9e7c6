import Layers
import LowBit
import Models
import Objectives
import Parameters
import Rollouts
import Tensors

/// The GRPO loss of a micro-batch of trajectories: forward, objective, backward.
///
/// Every divisor comes from the group or the whole batch (`GroupObjective`), so micro-batches add up to the same loss
/// however the trajectories are split.
public struct PolicyLoss: Sendable {
  public let configuration: ObjectiveConfiguration
  private let loss: SequenceLoss

  public init(
    model: QuillanModel, configuration: ObjectiveConfiguration, retention: Retention = .everything,
    exchange: CouncilExchange? = nil
  ) {
    self.configuration = configuration
    loss = SequenceLoss(
      model: model, temperature: Float(configuration.temperature), retention: retention, exchange: exchange)
  }

  /// One trajectory with its place in its group.
  public struct Item: Sendable {
    public let trajectory: Trajectory
    public let objective: GroupObjective
    /// The trajectory's index in the group.
    public let index: Int
    public let referenceLogProbabilities: [Float]?

    public init(
      _ trajectory: Trajectory, objective: GroupObjective, index: Int, referenceLogProbabilities: [Float]? = nil
    ) {
      self.trajectory = trajectory
      self.objective = objective
      self.index = index
      self.referenceLogProbabilities = referenceLogProbabilities
    }
  }

  /// What one trajectory contributed: terms already carry their weights, so they add up over the batch.
  public struct Result: BitwiseCopyable {
    public var terms: ObjectiveTerms
    public var statistics: RatioStatistics
    /// Of the generated tokens; in memory of the pass, valid during the call that gets the result.
    public let logProbabilities: UnsafeBufferPointer<Float>
  }

  /// Adds the gradients of the items' share of the loss, and their routed slots to `loads`. Allocates nothing once the
  /// arenas have grown.
  ///
  /// - Parameters:
  ///   - diffusion: targets and noise, rows as in the concatenated trajectories; nil without diffusion.
  ///   - body: called once for each item, in order, when all gradients are there.
  public func accumulate(
    _ items: [Item], diffusion: ReasoningDiffusion.LossInput?, _ weights: PackedModel, _ gradients: Gradients,
    loads: RoutingLoads, _ context: Context, body: (Int, Result) -> Void
  ) {
    context.arena.scoped {
      var results = ArenaList<Result>(capacity: items.count, in: context.arena)
      loss.accumulate(
        Sequences(items: items, configuration: configuration), diffusion: diffusion, weights, gradients, loads: loads,
        context
      ) { index, evaluation in
        let outcome = evaluate(items[index], evaluation)
        results.append(
          Result(
            terms: outcome.terms, statistics: outcome.statistics, logProbabilities: evaluation.logProbabilities))
      } losses: { index, losses in
        var result = results[index]
        result.terms.aux = items[index].objective.trajectoryWeight * losses.auxiliary
        result.terms.diffusion = items[index].objective.trajectoryWeight * losses.diffusion
        body(index, result)
      }
    }
  }

  private func evaluate(
    _ item: Item, _ evaluation: SequenceLoss.Evaluation
  ) -> (terms: ObjectiveTerms, statistics: RatioStatistics) {
    evaluation.entropyGradients.update(repeating: item.objective.entropyGradient)
    return item.trajectory.logProbabilities.withUnsafeBufferPointer { old in
      item.referenceLogProbabilities.withUnsafeBuffer { references in
        item.objective.evaluate(
          trajectory: item.index,
          TrajectorySignals.View(
            oldLogProbabilities: old, logProbabilities: evaluation.logProbabilities,
            entropies: evaluation.entropies, values: evaluation.values, referenceLogProbabilities: references),
          logProbabilityGradients: evaluation.logProbabilityGradients, valueGradients: evaluation.valueGradients)
      }
    }
  }

  /// The items as sequences, without a copy.
  private struct Sequences: RandomAccessCollection {
    let items: [Item]
    let configuration: ObjectiveConfiguration

    var startIndex: Int { 0 }
    var endIndex: Int { items.count }

    subscript(index: Int) -> SequenceLoss.Sequence {
      let item = items[index]
      return SequenceLoss.Sequence(
        tokens: item.trajectory.tokens, positions: item.trajectory.generatedPositions,
        latents: item.trajectory.latents,
        auxiliaryWeight: Float(configuration.auxLossCoef * item.objective.trajectoryWeight),
        diffusionWeight: Float(configuration.diffusionLossCoef * item.objective.trajectoryWeight))
    }
  }
}
