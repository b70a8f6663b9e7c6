import Configuration
import Layers
import MPI
import Models
import Parameters
import Rollouts
import Telemetry

/// A reduction unit of a step. If sums are reproducible: the sequences whose gradients are added before rounding.
/// Otherwise: all sequences of this rank.
package struct StepUnit<Record: StepRecord> {
  /// Empty records, to which the unit's sequences add (`TrainingSequence.record`).
  package var records: [Record]
  package var microBatches: [[TrainingSequence]]

  package init(records: [Record], microBatches: [[TrainingSequence]]) {
    self.records = records
    self.microBatches = microBatches
  }

  package var tokens: Int { microBatches.joined().reduce(0) { $0 + $1.tokens.count } }
}

/// The results of the passes of a step, equal on every rank.
package struct StepTotals<Record: StepRecord> {
  /// The records of all ranks, in an order that does not depend on the ranks.
  package let records: [Record]
  /// The global norm of the gradients, each parameter counted once.
  package let norm: Double
  /// Describes values that are not finite; nil if the update can be applied.
  package let problem: NonfiniteReport?
  /// Seconds that this rank spent in the passes and in the reduction.
  package let seconds: (passes: Double, reduction: Double)
}

/// One optimizer step: passes, checks, reduction, the decision whether to skip the update, and the update, in the only
/// valid order.
///
/// All ranks call the same methods in the same order.
package struct OptimizationStep<Objective: SequenceObjective> {
  package let learner: Learner
  package let objective: Objective
  private let configuration: RunConfiguration
  /// The key of the learning rate, for messages.
  private let rateKey: String

  package init(_ learner: Learner, _ objective: Objective, _ configuration: RunConfiguration, rateKey: String) {
    self.learner = learner
    self.objective = objective
    self.configuration = configuration
    self.rateKey = rateKey
  }

  private var pass: MicroBatchPass<Objective> {
    MicroBatchPass(
      learner.model, objective, retention: configuration.rl.gradientCheckpointing ? .layerInputs : .everything,
      exchange: learner.experts?.exchange)
  }

  /// Runs the forward and backward passes of this rank's units, and reduces their gradients. Collective.
  ///
  /// - Parameter step: the number of the step from 1, for messages.
  /// - Throws: `TrainingError` on every rank if debug mode finds a value that is not finite; `MPIError`.
  package func run(_ units: [StepUnit<Objective.Record>], step: Int) throws -> StepTotals<Objective.Record> {
    let start = ContinuousClock.now
    learner.begin()
    let records = try passes(units)
    // Only here do communication errors of the passes surface; until then the affected rows are zeros.
    try learner.experts?.check()
    try learner.observer?.requireFinite(step: step, learner)
    // Reduce immediately: other ranks are already blocked in their all-reduce.
    let passed = ContinuousClock.now
    let reduced = try learner.reduce()
    let seconds = (passes: (passed - start) / .seconds(1), reduction: (ContinuousClock.now - passed) / .seconds(1))
    let all = try Objective.Record.gather(records, learner.communicator)
    return StepTotals(
      records: all, norm: reduced.norm, problem: NonfiniteReport(reduced, all, model: learner.model), seconds: seconds)
  }

  /// Runs the passes of this rank's units and returns the units' records. With expert parallelism, ranks process units
  /// and micro-batches in lockstep; a rank without further sequences takes part with empty micro-batches.
  private func passes(_ units: [StepUnit<Objective.Record>]) throws -> [Objective.Record] {
    var records: [Objective.Record] = []
    var number = 0
    let counts = try learner.agree(microBatches: units.map(\.microBatches.count))
    for (index, count) in counts.enumerated() {
      var unit = index < units.count ? units[index] : StepUnit(records: [], microBatches: [])
      for microBatch in 0..<count {
        let sequences = microBatch < unit.microBatches.count ? unit.microBatches[microBatch] : []
        let isLast = index == counts.count - 1 && microBatch == count - 1
        FlightRecorder.phase("micro-batch", number) { accumulate(sequences, isLast: isLast, &unit.records) }
        number += 1
      }
      if let tensor = try learner.reducer.finishUnit(), !unit.records.isEmpty {
        unit.records[0].nonfiniteTensor = tensor.index
      }
      records += unit.records
    }
    return records
  }

  private func accumulate(_ sequences: [TrainingSequence], isLast: Bool, _ records: inout [Objective.Record]) {
    let sequences = sequences.isEmpty ? [] : objective.prepare(sequences, learner)
    let diffusion = objective.diffusionInput(sequences, learner)
    if !sequences.isEmpty { checkGradients(sequences, records) }
    pass.accumulate(
      sequences, diffusion: diffusion, learner.weights, isLast ? learner.lastGradients() : learner.gradients,
      loads: learner.loads, learner.context
    ) { index, result in
      objective.add(result, of: sequences[index], to: &records[sequences[index].record])
    }
    learner.observer?.didTrain(sequences.map { ($0.id, $0.tokens.count) })
  }

  /// The gradient check of debug mode, on the first sequences of a micro-batch.
  private func checkGradients(_ sequences: [TrainingSequence], _ records: [Objective.Record]) {
    learner.observer?.willTrain(learner) { count in
      let checked = Array(sequences.prefix(count))
      let diffusion = objective.diffusionInput(checked, learner)
      return { weights, gradients, loads in
        var sums = records
        pass.accumulate(checked, diffusion: diffusion, weights, gradients, loads: loads, learner.context) {
          objective.add($1, of: checked[$0], to: &sums[checked[$0].record])
        }
        return objective.checkedLoss(sums)
      }
    }
  }

  /// Skips an update because of values that are not finite, and counts it.
  ///
  /// - Returns: a line for the log.
  /// - Throws: `TrainingError`, the same on every rank, if more than `debug.skip_nonfinite` updates were skipped.
  package func skip(_ problem: NonfiniteReport, step: Int) throws -> String {
    learner.skippedUpdates += 1
    let (skipped, allowed) = (learner.skippedUpdates, configuration.debug.skipNonfinite)
    guard skipped <= allowed else {
      throw TrainingError(
        .failure, isAgreed: true,
        "step \(step): \(problem); \(problem.remedy(rateKey)), or pass --skip-nonfinite n to skip up to n such updates")
    }
    return "step \(step): \(problem); update skipped (\(skipped) of \(allowed))"
  }

  /// Applies the update to the masters and packs them. Collective.
  ///
  /// - Throws: `TrainingError`, the same on every rank, if the update makes masters not finite.
  package func update(_ totals: StepTotals<Objective.Record>, learningRate: Double, step: Int) throws {
    let spoilt = try learner.update(
      norm: totals.norm, learningRate: learningRate, maximumNorm: configuration.rl.maxGradNorm,
      balanceRate: configuration.rl.balanceRate)
    if let spoilt { throw TrainingError(spoilt: spoilt, step: step, key: rateKey) }
  }
}
