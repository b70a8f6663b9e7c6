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
  public let model: QuillanModel
  public let configuration: ObjectiveConfiguration
  public let retention: Retention

  public init(model: QuillanModel, configuration: ObjectiveConfiguration, retention: Retention = .everything) {
    self.model = model
    self.configuration = configuration
    self.retention = retention
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
  /// - Parameters:
  ///   - diffusion: targets and noise, rows as in the concatenated trajectories; nil without diffusion. Its
  ///     coefficients are set here.
  public func accumulate(
    _ items: [Item], diffusion: ReasoningDiffusion.LossInput?, _ weights: PackedModel, _ gradients: Gradients,
    loads: RoutingLoads, _ context: Context
  ) -> [Result] {
    context.arena.scoped {
      let pass = forward(items, weights, loads: loads, context)
      let rows = Rows(items, pass.prefix.batch)
      let selected = model.gather(pass.hidden, rows: rows.predictors, context)
      let input = model.head.input(selected, weights, context.main)
      let distribution = model.head.forward(
        input, targets: rows.targets, temperature: Float(configuration.temperature), weights, context.main)
      let values = model.values(selected, weights)

      var results: [Result] = []
      var dLogProbability: [Float] = []
      var dEntropy: [Float] = []
      var dValues: [Float] = []
      for (index, item) in items.enumerated() {
        let range = rows.ranges[index]
        let logProbabilities = range.map { distribution.logProbability[$0] }
        let outcome = item.objective.evaluate(
          trajectory: item.index,
          TrajectorySignals(
            oldLogProbabilities: item.trajectory.logProbabilities, logProbabilities: logProbabilities,
            entropies: range.map { distribution.entropy[$0] }, values: Array(values[range]),
            referenceLogProbabilities: item.referenceLogProbabilities))
        dLogProbability += outcome.logProbabilityGradients
        dEntropy += range.map { _ in outcome.entropyGradient }
        dValues += outcome.valueGradients
        results.append(
          Result(terms: outcome.terms, statistics: outcome.statistics, logProbabilities: logProbabilities))
      }

      let dSelected = context.arena.zeros(selected.rows, selected.columns)
      model.head.backward(
        input, targets: rows.targets, temperature: Float(configuration.temperature), distribution,
        dLogProbability: dLogProbability, dEntropy: dEntropy, weights, gradients, into: dSelected, context.main)
      model.backwardValues(selected, dValues: dValues, gradients)
      let dHidden = context.arena.zeros(pass.hidden.rows, pass.hidden.columns)
      for (row, target) in rows.predictors.enumerated() {
        Kernels.table.pointee.add_scaled(
          Int64(dHidden.columns), 1, dSelected.row(row), dHidden.row(target))
      }
      var lossInput = diffusion
      lossInput?.coefficients = items.map {
        Float(configuration.diffusionLossCoef * $0.objective.trajectoryWeight)
      }
      let diffusionLosses = model.backward(
        pass, dHidden: dHidden, diffusionLoss: lossInput, weights, gradients, context)
      let auxiliary = pass.auxiliaryLosses
      for (index, item) in items.enumerated() {
        results[index].terms.aux = item.objective.trajectoryWeight * auxiliary[index]
        results[index].terms.diffusion = item.objective.trajectoryWeight * diffusionLosses[index]
      }
      return results
    }
  }

  private func forward(_ items: [Item], _ weights: PackedModel, loads: RoutingLoads, _ context: Context) -> TrunkPass {
    let batch = TokenBatch(sequences: items.map { $0.trajectory.tokens })
    let terms = BalanceTerms(
      lengths: items.map { $0.trajectory.tokens.count },
      coefficients: items.map { Float(configuration.auxLossCoef * $0.objective.trajectoryWeight) },
      layers: model.layers.count)
    let report = BalanceReport(
      terms: terms, sequenceOfToken: batch.sequenceOfToken, members: model.council.members.count, loads: loads)
    let prefix = model.prefix(batch, weights, context)
    let latents = items.flatMap { $0.trajectory.latents }
    return latents.withUnsafeBufferPointer {
      model.trunk(
        prefix, latents: model.diffusion == nil ? nil : $0.baseAddress, report: report, retention: retention, weights,
        context)
    }
  }

  /// Which rows of the batch predict generated tokens.
  private struct Rows {
    var predictors: [Int] = []
    var targets: [Int32] = []
    var ranges: [Range<Int>] = []

    init(_ items: [Item], _ batch: TokenBatch) {
      for (item, span) in zip(items, batch.spans) {
        let start = predictors.count
        for position in item.trajectory.generatedPositions {
          predictors.append(span.first + position - 1)
          targets.append(item.trajectory.tokens[position])
        }
        ranges.append(start..<predictors.count)
      }
    }
  }
}
