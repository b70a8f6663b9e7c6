import Formats
import Learning
import MPI
import Objectives
import Parallelism
import Reports
import Rollouts

/// A method of training whose next step can be inspected before it is made: `Trainer` and `Pretrainer`.
protocol Replayable: Resumable {
  /// The divisor of the logits.
  var temperature: Float { get }
  /// The sequences that the next step trains on, on one rank. The step then trains on these sequences.
  func nextSequences() throws -> [TrainingSequence]
  /// Makes the next step.
  ///
  /// - Returns: the members of the step's line of metrics.
  func makeStep() throws -> [String: JSONValue]
}

extension Trainer: Replayable {
  var temperature: Float { Float(configuration.objective.temperature) }

  func nextSequences() throws -> [TrainingSequence] {
    _ = try step(leaving: { true })
    let groups = waiting.first ?? []
    guard let counts = BatchCounts(groups) else { return [] }
    return try units(groups, counts).flatMap { $0.microBatches.joined() }
  }

  func makeStep() throws -> [String: JSONValue] {
    let report = try step()
    return MetricsWriter.members(report.metrics, prompts: report.prompts, loads: report.loads)
  }
}

extension Pretrainer: Replayable {
  var temperature: Float { 1 }

  func nextSequences() throws -> [TrainingSequence] {
    let objective = CrossEntropyObjective(configuration.pretrain, predicted: 0, seed: configuration.rl.seed)
    return try units().flatMap(\.microBatches).flatMap { objective.prepare($0, learner) }
  }

  func makeStep() throws -> [String: JSONValue] {
    MetricsWriter.members(try step().metrics, prompts: nil, loads: RoutingSnapshot(learner.loads))
  }
}
