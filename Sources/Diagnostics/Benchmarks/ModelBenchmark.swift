import Configuration
import Foundation
import Learning
import Models
import MPI
import Objectives
import Optimizers
import Parallelism
import Parameters
import Rollouts
import Tensors

/// Times decoding and training steps of a whole model with random tokens.
///
/// Initial weights, tokens and latents have fixed seeds. Times are wall-clock times.
public final class ModelBenchmark {
  private let configuration: RunConfiguration
  private let model: QuillanModel
  private let communicator: Communicator
  private let context: Context

  /// - Throws: `ConfigurationIssue` if the sizes of the model are inconsistent.
  public init(_ configuration: RunConfiguration, threads: Int, communicator: Communicator) throws {
    self.configuration = configuration
    self.communicator = communicator
    model = try QuillanModel(configuration.model, configuration.precision)
    configuration.precision.bf16Sums.resolved(hasTiles: Kernels.hasTiles).select()
    context = Context(threads: threads)
  }

  /// Tokens per second of the sampler, without the prompt. Samples 1 and `newTokens` + 1 tokens alternately; the difference
  /// of the medians is the time of `newTokens` tokens. Local.
  public func decode(batches: [Int], promptLength: Int, newTokens: Int, rounds: Int) throws -> [BenchmarkRow] {
    let packed = model.makePackedModel()
    do {
      let masters = model.initialParameters(seed: 0, pool: context.pool)
      model.pack(masters, into: packed, context)
    }
    var numbers = TokenNumbers(vocabulary: configuration.model.vocabSize)
    let prompt = (0..<promptLength).map { _ in numbers.next() }
    return try batches.map { batch in
      let request = Sampler.Request(prompt: prompt, trajectories: (0..<UInt64(batch)).map { $0 })
      func seconds(_ count: Int) throws -> Double {
        var options = SamplingOptions()
        options.maxNewTokens = count
        // −1 is not a token, so no token ends a sequence.
        let sampler = Sampler(model: model, options: options, endToken: -1, seed: 0)
        return try Self.seconds { _ = try sampler.sample([request], packed, context) }
      }
      _ = try seconds(2)
      var (short, long): ([Double], [Double]) = ([], [])
      for _ in 0..<rounds {
        short.append(try seconds(1))
        long.append(try seconds(newTokens + 1))
      }
      return BenchmarkRow(
        "decode, batch \(batch)", seconds: max(1e-9, PairedTimer.median(long) - PairedTimer.median(short)),
        work: Double(batch * newTokens), unit: .tokens)
    }
  }

  /// Measures an optimizer step of `tokens` tokens over all ranks: forward, objective, backward, reduction, update and
  /// packing. Collective.
  ///
  /// - Returns: the step and its phases, as medians over `steps` steps after one warm-up step.
  public func trainingStep(tokens: Int, sequenceLength: Int, steps: Int) throws -> [BenchmarkRow] {
    let topology = try Topology(configuration, world: communicator)
    let learner = Learner(
      configuration, model,
      masters: model.initialParameters(
        seed: 0, holding: topology.ownership.held(in: model.table), pool: context.pool),
      topology: topology, context)
    let (groups, counts) = self.groups(tokens: tokens, sequenceLength: sequenceLength)
    let step = OptimizationStep(
      learner, PolicyObjective(configuration.objective), configuration, rateKey: "rl.learning_rate")
    let units = try Trainer.units(
      groups.map { StepGroup($0) }, counts, objective: configuration.objective, configuration,
      isReproducible: configuration.parallel.reproducible)
    var phases: [[Double]] = [[], [], [], []]
    for number in 0...steps {
      try communicator.barrier()
      let totals = try step.run(units, step: number + 1)
      let update = try Self.seconds { try step.update(totals, learningRate: 1e-5, step: number + 1) }
      guard number > 0 else { continue }
      let (passes, reduction) = totals.seconds
      for (index, seconds) in [passes + reduction + update, passes, reduction, update].enumerated() {
        phases[index].append(seconds)
      }
    }
    let count = Double(groups.reduce(0) { $0 + $1.trajectories.count } * sequenceLength)
    let all = try communicator.allReduce([count], .sum)[0]
    let names = ["training step", "  forward and backward", "  reduction and norm", "  optimizer and packing"]
    return zip(names, phases).map {
      BenchmarkRow($0, seconds: PairedTimer.median($1), work: all, unit: .tokens)
    }
  }

  /// This rank's share of groups of `num_trajectories` sequences with rewards 0 and 1 in turn, equally many on each rank,
  /// and the counts of all ranks.
  private func groups(tokens: Int, sequenceLength length: Int) -> ([TrajectoryGroup], BatchCounts) {
    let size = configuration.rl.numTrajectories
    let total = max(1, tokens / (size * length) / communicator.size) * communicator.size
    let latentBytes = configuration.model.useBitDiffusion ? (configuration.model.dim + 7) / 8 : 0
    let promptLength = min(8, length - 1)
    let groups = Share(of: total, rank: communicator.rank, size: communicator.size).range.map { group in
      var numbers = TokenNumbers(vocabulary: configuration.model.vocabSize, seed: UInt32(group))
      let trajectories = (0..<size).map { index in
        Trajectory(
          id: UInt64(group * size + index), promptID: UInt64(group * size), promptLength: promptLength,
          tokens: (0..<length).map { _ in numbers.next() }, mask: (0..<length).map { $0 >= promptLength },
          latents: (0..<length * latentBytes).map { _ in UInt8(truncatingIfNeeded: numbers.next()) },
          logProbabilities: [Float](
            repeating: -Float(log(Double(configuration.model.vocabSize))), count: length - promptLength),
          finished: false)
      }
      return TrajectoryGroup(
        id: UInt64(group), trajectories: trajectories, rewards: trajectories.indices.map { Double($0 % 2) })
    }
    return (groups, BatchCounts(groups: total, generatedTokens: total * size * (length - promptLength)))
  }

  private static func seconds(_ work: () throws -> Void) rethrows -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    try work()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
  }
}

/// Reproducible random tokens.
private struct TokenNumbers {
  private let vocabulary: Int
  private var state: UInt32

  init(vocabulary: Int, seed: UInt32 = 0) {
    self.vocabulary = vocabulary
    state = seed &* 2_654_435_769 &+ 1
  }

  mutating func next() -> Int32 {
    state = state &* 1_664_525 &+ 1_013_904_223
    return Int32(Int(state >> 8) % vocabulary)
  }
}
