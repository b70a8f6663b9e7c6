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
  public struct Result: Sendable {
    public var terms: ObjectiveTerms
    public var statistics: RatioStatistics
    public var logProbabilities: [Float]
  }

  /// Adds the gradients of the items' share of the loss, and their routed slots to `loads`.
  ///
  /// - Parameter diffusion: targets and noise, rows as in the concatenated trajectories; nil without diffusion.
  public func accumulate(
    _ items: [Item], diffusion: ReasoningDiffusion.LossInput?, _ weights: PackedModel, _ gradients: Gradients,
    loads: RoutingLoads, _ context: Context
  ) -> [Result] {
    let sequences = items.map { item in
      SequenceLoss.Sequence(
        tokens: item.trajectory.tokens, positions: item.trajectory.generatedPositions,
        latents: item.trajectory.latents,
        auxiliaryWeight: Float(configuration.auxLossCoef * item.objective.trajectoryWeight),
        diffusionWeight: Float(configuration.diffusionLossCoef * item.objective.trajectoryWeight))
    }
    var results: [Result] = []
    let losses = loss.accumulate(
      sequences, diffusion: diffusion, weights, gradients, loads: loads, context
    ) { index, signals in
      let item = items[index]
      let outcome = item.objective.evaluate(
        trajectory: item.index,
        TrajectorySignals(
          oldLogProbabilities: item.trajectory.logProbabilities, logProbabilities: signals.logProbabilities,
          entropies: signals.entropies, values: signals.values,
          referenceLogProbabilities: item.referenceLogProbabilities))
      results.append(
        Result(terms: outcome.terms, statistics: outcome.statistics, logProbabilities: signals.logProbabilities))
      return SequenceLoss.SignalGradients(
        logProbabilities: outcome.logProbabilityGradients,
        entropies: signals.entropies.map { _ in outcome.entropyGradient }, values: outcome.valueGradients)
    }
    for (index, item) in items.enumerated() {
      results[index].terms.aux = item.objective.trajectoryWeight * losses.auxiliary[index]
      results[index].terms.diffusion = item.objective.trajectoryWeight * losses.diffusion[index]
    }
    return results
  }
}
