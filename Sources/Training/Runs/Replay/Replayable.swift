import Formats
import MPI
import Objectives
import Parallelism

/// A method of training whose next step can be looked into before it is made: `Trainer` and `Pretrainer`.
protocol Replayable: Resumable {
  /// What the next step learns from, on one rank. The step then learns from the same.
  func nextSequences() throws -> [StepSequence]
  /// Makes the next step.
  ///
  /// - Returns: the members of its line of metrics.
  func makeStep() throws -> [String: JSONValue]
}

/// A sequence that a step learns from.
struct StepSequence {
  /// Where it belongs, in reinforcement.
  struct Place {
    let group: UInt64
    let objective: GroupObjective
    /// The sequence's index in the group.
    let index: Int
    /// log π_old of each predicted token.
    let oldLogProbabilities: [Float]
  }

  let id: UInt64
  let tokens: [Int32]
  /// Positions whose tokens the loss is about.
  let positions: [Int]
  let latents: [UInt8]
  let temperature: Float
  let place: Place?
}

extension Trainer: Replayable {
  func nextSequences() throws -> [StepSequence] {
    _ = try step(leaving: { true })
    let groups = waiting.first ?? []
    guard let counts = try batchCounts(groups) else { return [] }
    return try units(groups, counts).flatMap { $0 }.flatMap { unit in
      unit.trajectories.enumerated().map { index, trajectory in
        StepSequence(
          id: trajectory.id, tokens: trajectory.tokens, positions: trajectory.generatedPositions,
          latents: trajectory.latents, temperature: Float(configuration.objective.temperature),
          place: StepSequence.Place(
            group: unit.group, objective: unit.objective, index: index,
            oldLogProbabilities: trajectory.logProbabilities))
      }
    }
  }

  func makeStep() throws -> [String: JSONValue] {
    let report = try step()
    return MetricsWriter.members(report.metrics, prompts: report.prompts, loads: report.loads)
  }
}

extension Pretrainer: Replayable {
  func nextSequences() throws -> [StepSequence] {
    let (ranges, sequences) = try parts()
    return zip(ranges, sequences).flatMap { range, examples in
      let first = stepCount * configuration.pretrain.batchSize
      let ids = range.map { UInt64(first + $0) }
      let latents = LatentSampling.latents(
        examples.map(\.tokens), ids: ids, seed: configuration.rl.seed, learner.model, learner.weights, learner.context)
      return examples.indices.map {
        StepSequence(
          id: ids[$0], tokens: examples[$0].tokens, positions: examples[$0].positions, latents: latents[$0],
          temperature: 1, place: nil)
      }
    }
  }

  func makeStep() throws -> [String: JSONValue] {
    MetricsWriter.members(try step(), prompts: nil, loads: RoutingSnapshot(learner.loads))
  }
}
