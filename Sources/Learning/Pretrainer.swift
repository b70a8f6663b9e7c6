import Configuration
import MPI
import Optimizers
import Parallelism
import Telemetry

/// Next-token pre-training on text windows or task demonstrations, before reinforcement learning.
///
/// `CrossEntropyObjective` defines the loss.
public final class Pretrainer {
  public let configuration: RunConfiguration
  public let learner: Learner
  public private(set) var stepCount = 0
  private let source: any SequenceSource
  private let schedule: LearningRateSchedule
  /// Number of sequences of a unit of reproducible sums.
  package static let unit = 8

  public init(configuration: RunConfiguration, learner: Learner, source: any SequenceSource) {
    self.configuration = configuration
    self.learner = learner
    self.source = source
    let pretrain = configuration.pretrain
    schedule = LearningRateSchedule(
      peak: pretrain.learningRate, warmupSteps: pretrain.warmupSteps, totalSteps: pretrain.steps)
  }

  /// Resumes after `steps` steps, `skipped` of them without an update.
  package func resume(steps: Int, skipped: Int) {
    stepCount = steps
    learner.skippedUpdates = skipped
  }

  /// Runs one step. Returns its metrics, equal on every rank, and a line for the log if the update was skipped.
  /// Collective.
  ///
  /// - Throws: `TrainingError` on every rank if a loss or gradient is not finite, unless such updates are skipped.
  public func step() throws -> (metrics: [String: Double], warning: String?) {
    var clock = PhaseClock()
    let units = try self.units()
    let trained = units.reduce(0) { $0 + $1.microBatches.joined().reduce(0) { $0 + $1.positions.count } }
    let predicted = try learner.communicator.allReduce(Int64(trained), .sum)
    let pretrain = configuration.pretrain
    let step = OptimizationStep(
      learner, CrossEntropyObjective(pretrain, predicted: Int(predicted), seed: configuration.rl.seed), configuration,
      rateKey: "pretrain.learning_rate")
    let totals = try step.run(units, step: stepCount + 1)
    let figures = CrossEntropyObjective.Figures(totals.records, pretrain)
    let rate = schedule.learningRate(at: stepCount)
    var metrics = [
      "loss/cross_entropy": figures.crossEntropy, "loss/aux": figures.auxiliary, "loss/diffusion": figures.diffusion,
      "loss": figures.loss, "grad_norm": totals.norm, "learning_rate": rate,
    ]
    var warning: String?
    if let problem = totals.problem {
      warning = try step.skip(problem, step: stepCount + 1)
      metrics["skipped_updates"] = Double(learner.skippedUpdates)
    } else {
      try step.update(totals, learningRate: rate, step: stepCount + 1)
    }
    metrics.merge(learner.loadMetrics) { $1 }
    clock.lap("step")
    let slowest = try learner.communicator.allReduce(clock.total, .maximum)
    metrics["step_time"] = slowest
    let peak = ProcessMemory.peakBytes.map(Double.init) ?? .nan
    metrics["memory/peak_bytes"] = try learner.communicator.allReduce(peak, .maximum)
    metrics["tokens_per_second"] = Double(figures.tokens) / max(1e-9, slowest)
    stepCount += 1
    return (metrics, warning)
  }

  /// This rank's sequences of the next step. Each micro-batch is a unit: `unit` sequences if sums are reproducible,
  /// otherwise as `MicroBatches.parts` divides them.
  package func units() throws -> [StepUnit<CrossEntropyObjective.Record>] {
    let size = configuration.pretrain.batchSize
    let isReproducible = configuration.parallel.reproducible
    let unit = isReproducible ? Self.unit : 1
    let share = Share(
      of: (size - 1) / unit + 1, rank: learner.communicator.rank, size: learner.communicator.size)
    let indices = min(size, share.range.lowerBound * unit)..<min(size, share.range.upperBound * unit)
    let sequences = try indices.map { index in
      var sequence = try source.sequence(step: stepCount, index: index, batchSize: size)
      sequence.auxiliaryWeight = Float(configuration.pretrain.auxLossCoef / Double(size))
      sequence.diffusionWeight = Float(configuration.pretrain.diffusionLossCoef / Double(size))
      return sequence
    }
    let parts =
      isReproducible
      ? stride(from: 0, to: sequences.count, by: unit).map { $0..<min($0 + unit, sequences.count) }
      : MicroBatches.parts(sequences.map(\.tokens.count), configuration)
    return parts.map { StepUnit(records: [CrossEntropyObjective.Record()], microBatches: [Array(sequences[$0])]) }
  }
}
