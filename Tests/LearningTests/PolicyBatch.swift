import Foundation
import Layers
import Models
import Objectives
import Parameters
import Rollouts
import Tensors
import TestSupport
import Training

/// Groups of random trajectories for a tiny model, with all inputs of the policy loss.
struct PolicyBatch {
  let tiny: TinyModel
  var configuration = ObjectiveConfiguration()
  var groups: [TrajectoryGroup] = []
  var retention = Retention.everything

  /// - Parameter lengths: prompt length and generated tokens of each trajectory of each group.
  init(_ tiny: TinyModel, lengths: [[(prompt: Int, generated: Int)]], seed: UInt64) {
    self.tiny = tiny
    configuration.advantage = .standardized
    configuration.entropyCoef = 0.3
    configuration.auxLossCoef = 0.5
    configuration.diffusionLossCoef = 0.7
    configuration.valueCoef = 0.5
    configuration.klCoef = 0.2
    configuration.temperature = 0.7
    var numbers = RandomNumbers(seed: seed)
    var next: UInt64 = 0
    for (group, members) in lengths.enumerated() {
      let promptID = next
      let trajectories = members.map { member -> Trajectory in
        defer { next += 1 }
        let count = member.prompt + member.generated
        return Trajectory(
          id: next, promptID: promptID, promptLength: member.prompt,
          tokens: numbers.tokens(count, vocabulary: tiny.model.configuration.vocabSize),
          mask: (0..<count).map { $0 >= member.prompt },
          latents: tiny.model.diffusion == nil ? [] : numbers.bytes(count * tiny.model.latentBytes),
          logProbabilities: numbers.normals(member.generated, scale: 0.3).map { $0 - 4 }, finished: true)
      }
      groups.append(
        TrajectoryGroup(
          id: UInt64(group), trajectories: trajectories, rewards: trajectories.map { _ in numbers.uniform() }))
    }
  }

  /// The trajectories of the groups `chosen`, or of all groups, with their objectives in a step of `groupsOfStep`
  /// groups.
  func items(_ chosen: [Int]? = nil, groupsOfStep: Int? = nil) throws -> [TrainingSequence] {
    let chosen = chosen ?? Array(groups.indices)
    let tokens = chosen.reduce(0) { $0 + groups[$1].trajectories.reduce(0) { $0 + $1.logProbabilities.count } }
    var sequences: [TrainingSequence] = []
    for group in chosen.map({ groups[$0] }) {
      let objective = try GroupObjective(
        configuration: configuration, rewards: group.rewards,
        tokenCounts: group.trajectories.map { $0.logProbabilities.count },
        batch: BatchCounts(groups: groupsOfStep ?? chosen.count, generatedTokens: tokens))
      for (index, trajectory) in group.trajectories.enumerated() {
        var sequence = TrainingSequence(trajectory, index: index, of: objective, group: group.id)
        sequence.member?.referenceLogProbabilities = trajectory.logProbabilities.map { $0 + 0.1 }
        sequences.append(sequence)
      }
    }
    return sequences
  }

  /// Targets and noise from the weights at the time of the call.
  func diffusionInput(_ items: [TrainingSequence]) -> ReasoningDiffusion.LossInput? {
    guard let diffusion = tiny.model.diffusion else { return nil }
    var input = ReasoningDiffusion.LossInput()
    for item in items {
      let targets = diffusion.targetBits(item.tokens, embedding: tiny.masters.rows(tiny.model.embedding))
      let noise = diffusion.noise(targets, sequence: item.id, seed: 3)
      input.targets += targets
      input.levels += noise.levels
      input.noisy += noise.noisy
    }
    return input
  }

  /// The contribution of one trajectory to the loss.
  struct Contribution {
    let terms: ObjectiveTerms
    let statistics: RatioStatistics
    let logProbabilities: [Float]
  }

  struct Outcome {
    var results: [Contribution] = []
    var loads: [Int64] = []
    var terms: ObjectiveTerms {
      results.reduce(into: ObjectiveTerms()) { $0 += $1.terms }
    }
    var statistics: RatioStatistics {
      results.reduce(into: RatioStatistics()) { $0 += $1.statistics }
    }
  }

  /// Computes the loss of `items` in micro-batches of `size`, and adds the gradients to `gradients`.
  func accumulate(
    _ items: [TrainingSequence], size: Int? = nil, diffusion: ReasoningDiffusion.LossInput? = nil,
    into gradients: ParameterStore
  ) -> Outcome {
    let pass = MicroBatchPass(tiny.model, PolicyObjective(configuration), retention: retention)
    let loads = tiny.model.makeLoads()
    var outcome = Outcome()
    let size = size ?? items.count
    for first in stride(from: 0, to: items.count, by: size) {
      let part = Array(items[first..<min(items.count, first + size)])
      pass.accumulate(
        part, diffusion: diffusion ?? diffusionInput(part), tiny.weights,
        Gradients(gradients, mixedPrecision: false), loads: loads, tiny.context
      ) { index, result in
        outcome.results.append(
          Contribution(
            terms: PolicyObjective.terms(result, of: part[index]), statistics: result.terms.statistics,
            logProbabilities: Array(result.signals.logProbabilities)))
      }
    }
    outcome.loads = loads.counts.array
    return outcome
  }

  /// Sets the old log-probabilities so that the ratios of the generated tokens repeat `ratios`.
  mutating func setRatios(_ ratios: [Double]) throws {
    let current = accumulate(try items(), into: ParameterStore(tiny.model.table)).results
    var row = 0
    for group in groups.indices {
      groups[group].trajectories = groups[group].trajectories.map { trajectory in
        defer { row += 1 }
        let old = current[row].logProbabilities.enumerated().map { index, value in
          value - Float(log(ratios[index % ratios.count]))
        }
        return Trajectory(
          id: trajectory.id, promptID: trajectory.promptID, promptLength: trajectory.promptLength,
          tokens: trajectory.tokens, mask: trajectory.mask, latents: trajectory.latents, logProbabilities: old,
          finished: true)
      }
    }
  }
}
