import Configuration
import Foundation
import Learning
import Models
import MPI
import Optimizers
import Parallelism
import Tensors

/// Measures weak scaling of a training step: every rank has the same number of tokens, alone or with other ranks.
///
/// The step is a pre-training step on random tokens: latents, forward, backward, reduction, norm, AdamW and packing. The
/// reference is the same step on one rank while the other ranks sleep.
public struct ParallelBenchmark {
  /// The results, which are the same on every rank.
  public struct Result: Sendable {
    public let ranks: Int
    public let threads: Int
    /// P, ranks per expert group.
    public let expert: Int
    public let tokensPerRank: Int
    /// Median seconds of a step on one rank.
    public let aloneSeconds: Double
    /// Median seconds of a step on all ranks, each step as slow as its slowest rank.
    public let togetherSeconds: Double
    /// Seconds per step in the exchange, including waiting for other ranks; mean over the ranks.
    public let exchangeSeconds: Double
    /// Seconds per step in the reduction, including waiting for other ranks; mean over the ranks.
    public let reductionSeconds: Double
    /// Bytes of rows that ranks sent to each other in a step.
    public let exchangedBytes: Int
    /// The minimum of `exchangedBytes`: each slot with a mini-MoE on another rank once in each direction, forward and
    /// backward.
    public let minimumBytes: Int

    /// Speed-up over one rank; the ideal is `ranks`.
    public var scaling: Double { Double(ranks) * aloneSeconds / togetherSeconds }
    /// Fraction of a step spent in communication.
    public var waitingShare: Double { (exchangeSeconds + reductionSeconds) / togetherSeconds }
  }

  private let configuration: RunConfiguration
  private let communicator: Communicator
  private let threads: Int
  private let tokens: Int
  private let steps: Int

  /// - Parameters:
  ///   - tokens: tokens per rank and step, a multiple of the sequence length.
  ///   - steps: number of timed steps, after one warm-up step.
  public init(
    _ configuration: RunConfiguration, threads: Int, tokens: Int, steps: Int, communicator: Communicator
  ) {
    var configuration = configuration
    // Short enough that every rank has complete reduction units.
    configuration.pretrain.sequenceLength = min(256, configuration.model.maxSeqLen, max(2, tokens / Pretrainer.unit))
    self.configuration = configuration
    self.communicator = communicator
    self.threads = threads
    self.tokens = tokens
    self.steps = steps
  }

  /// Measures. Collective.
  public func measure() throws -> Result {
    guard let single = try communicator.split(color: communicator.rank, key: 0) else {
      preconditionFailure("a rank without a communicator of its own")
    }
    var alone = 0.0
    if communicator.rank == 0 {
      var configuration = configuration
      configuration.parallel.expert = 1
      alone = try run(configuration, single).seconds
    }
    try sleepUntilEveryone()
    alone = try communicator.broadcast(alone, from: 0)
    let together = try run(configuration, communicator)
    let sums = try communicator.allReduce([together.exchange, together.reduction], .sum)
    let bytes = try communicator.allReduce([together.bytes, together.remoteRows], .sum)
    return Result(
      ranks: communicator.size, threads: threads, expert: configuration.parallel.expert, tokensPerRank: tokens,
      aloneSeconds: alone, togetherSeconds: together.seconds, exchangeSeconds: sums[0] / Double(communicator.size),
      reductionSeconds: sums[1] / Double(communicator.size), exchangedBytes: bytes[0],
      minimumBytes: bytes[1] * 4 * 4 * configuration.model.dim)
  }

  /// Waits for all ranks without occupying a core, unlike a blocking barrier of MPI.
  private func sleepUntilEveryone() throws {
    var request = try communicator.iBarrier()
    while try !request.test() { Thread.sleep(forTimeInterval: 0.01) }
    _ = try request.wait()
  }

  private struct Cost {
    var seconds = 0.0
    var exchange = 0.0
    var reduction = 0.0
    var bytes = 0
    var remoteRows = 0
  }

  /// Measures the median step of `ranks` and its communication.
  private func run(_ configuration: RunConfiguration, _ ranks: Communicator) throws -> Cost {
    var configuration = configuration
    let length = configuration.pretrain.sequenceLength
    configuration.pretrain.batchSize = ranks.size * max(1, tokens / length)
    let model = try QuillanModel(configuration.model, configuration.precision)
    configuration.precision.bf16Sums.resolved(hasTiles: Kernels.hasTiles).select()
    let topology = try Topology(configuration, world: ranks)
    let context = Context(threads: threads)
    let learner = Learner(
      configuration, model,
      masters: model.initialParameters(
        seed: 1, holding: topology.ownership.held(in: model.table), pool: context.pool),
      topology: topology, context)
    let trainer = Pretrainer(
      configuration: configuration, learner: learner,
      source: RandomSequences(length: length, vocabulary: configuration.model.vocabSize))
    var times: [Double] = []
    var cost = Cost()
    for step in 0...steps {
      let before = (learner.experts?.seconds ?? 0, learner.reducer.seconds, learner.experts?.exchange.bytesSent ?? 0)
      let rows = learner.experts?.exchange.remoteRows ?? 0
      try ranks.barrier()
      let start = ContinuousClock.now
      _ = try trainer.step()
      let seconds = try ranks.allReduce((ContinuousClock.now - start) / .seconds(1), .maximum)
      guard step > 0 else { continue }
      times.append(seconds)
      cost.exchange += ((learner.experts?.seconds ?? 0) - before.0) / Double(steps)
      cost.reduction += (learner.reducer.seconds - before.1) / Double(steps)
      cost.bytes = (learner.experts?.exchange.bytesSent ?? 0) - before.2
      cost.remoteRows = (learner.experts?.exchange.remoteRows ?? 0) - rows
    }
    cost.seconds = times.sorted()[times.count / 2]
    return cost
  }
}

/// Random tokens that depend only on step, sequence and position.
struct RandomSequences: SequenceSource {
  let length: Int
  let vocabulary: Int

  func sequence(step: Int, index: Int, batchSize: Int) -> TrainingSequence {
    let generator = Philox(seed: 0)
    let tokens = (0..<length).map { position in
      let words = generator.block(
        stream: .shuffling, sequence: UInt64(step * batchSize + index), position: UInt32(position), block: 0)
      return Int32(Int(words[0]) % vocabulary)
    }
    return TrainingSequence(
      id: UInt64(step * batchSize + index), tokens: tokens, positions: Array(1..<length))
  }
}
