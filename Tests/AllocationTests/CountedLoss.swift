import Layers
import LowBit
import Models
import Objectives
import Parameters
import Rollouts
import TestSupport
import Tensors
import Training

/// The policy loss of two groups of the tiny model: forward, objective, backward, with the allocations of the whole call.
///
/// What a rollout leaves is made once, before: trajectories, their objectives, targets and noise of the diffusion loss.
final class CountedLoss: @unchecked Sendable {
  private let counter: AllocationCounter
  private let tiny: TinyModel
  private let gradients: Gradients
  private let pass: MicroBatchPass<PolicyObjective>
  private let sequences: [TrainingSequence]
  private let noise: ReasoningDiffusion.LossInput
  private let loads: RoutingLoads
  /// Prompt length and generated tokens of each trajectory of each group.
  private static let lengths = [[(3, 4), (3, 0), (3, 12)], [(1, 5), (1, 1)]]

  /// - Parameters:
  ///   - members: how many mini-MoEs.
  ///   - takesPart: whether the rank has trajectories of its own.
  ///   - separate: whether the units of the transport's ranks have gradients of their own.
  init(
    retention: Retention, mixedPrecision: Bool, ratio: RatioMode = .token, members: Int = 3,
    over transport: (any ExpertTransport)? = nil, takesPart: Bool = true, separate: Bool = false,
    _ counter: AllocationCounter
  ) throws {
    self.counter = counter
    tiny = try TinyModel(.int8, seed: 161, pool: counter.pool) { $0.numMiniMoes = members }
    let table = tiny.model.table
    gradients = Gradients(tiny.gradients, mixedPrecision: mixedPrecision)
    loads = tiny.model.makeLoads()
    var configuration = ObjectiveConfiguration()
    configuration.klCoef = 0.1
    configuration.ratio = ratio
    let exchange = transport.map { transport in
      let own = members / transport.size
      return CouncilExchange(
        transport, owned: transport.rank * own..<(transport.rank + 1) * own,
        separate: separate
          ? (0..<transport.size).map { _ in Gradients(ParameterStore(table), mixedPrecision: mixedPrecision) } : nil)
    }
    pass = MicroBatchPass(tiny.model, PolicyObjective(configuration), retention: retention, exchange: exchange)

    var numbers = RandomNumbers(seed: 162)
    var sequences: [TrainingSequence] = []
    var noise = ReasoningDiffusion.LossInput()
    for (number, group) in (takesPart ? Self.lengths : []).enumerated() {
      let objective = try GroupObjective(
        configuration: configuration, rewards: group.indices.map(Double.init), tokenCounts: group.map(\.1),
        batch: BatchCounts(groups: 2, generatedTokens: 22))
      for (index, (prompt, generated)) in group.enumerated() {
        let count = prompt + generated
        let old = numbers.normals(generated, scale: 0.3).map { $0 - 7 }
        let trajectory = Trajectory(
          id: UInt64(sequences.count), promptID: 0, promptLength: prompt,
          tokens: numbers.tokens(count, vocabulary: tiny.model.configuration.vocabSize),
          mask: (0..<count).map { $0 >= prompt }, latents: numbers.bytes(count * tiny.model.latentBytes),
          logProbabilities: old, finished: true)
        var sequence = TrainingSequence(trajectory, index: index, of: objective, group: UInt64(number))
        sequence.member?.referenceLogProbabilities = old
        sequences.append(sequence)
        noise.targets += numbers.bytes(count * tiny.model.latentBytes)
        noise.noisy += numbers.bytes(count * tiny.model.latentBytes)
        noise.levels += (0..<count).map { Int32($0 % 10 + 1) }
      }
    }
    self.sequences = sequences
    self.noise = noise
  }

  /// The sum of the terms that the last run gave.
  private(set) var terms = ObjectiveTerms()

  /// One micro-batch, with its allocations.
  func run() -> Int64 {
    terms = ObjectiveTerms()
    return counter.allocations {
      pass.accumulate(sequences, diffusion: noise, tiny.weights, gradients, loads: loads, tiny.context) {
        terms += PolicyObjective.terms($1, of: sequences[$0])
      }
    }
  }
}
