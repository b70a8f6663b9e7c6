import Configuration
import Foundation
import Learning
import Models
import MPI
import Optimizers
import Parallelism
import Tensors

/// Weak scaling of a training step: every rank has the same number of tokens, alone or together with others.
///
/// A step is one of pre-training on random tokens: latents, forward, backward, reduction, norm, AdamW, packing. The same
/// step on one rank alone, while the other ranks sleep, is what it is held against.
public struct ParallelBenchmark {
  /// What was measured, the same on every rank.
  public struct Result: Sendable {
    public let ranks: Int
    public let threads: Int
    /// P.
    public let expert: Int
    public let tokensPerRank: Int
    /// Median seconds of a step on one rank, and on all ranks (the slowest of each).
    public let aloneSeconds: Double
    public let togetherSeconds: Double
    /// Seconds of a step in the exchange and in the reduction, waiting for other ranks included; means over the ranks.
    public let exchangeSeconds: Double
    public let reductionSeconds: Double
    /// Bytes of rows that ranks sent to each other in a step, and what they send at least: each routed slot whose mini-MoE is
    /// elsewhere once each way, forward and backward.
    public let exchangedBytes: Int
    public let leastBytes: Int

    /// Work done together in the time of one rank's work.
    public var scaling: Double { Double(ranks) * aloneSeconds / togetherSeconds }
    /// Share of a step in communication.
    public var waitingShare: Double { (exchangeSeconds + reductionSeconds) / togetherSeconds }
  }

  private let configuration: RunConfiguration
  private let communicator: Communicator
  private let threads: Int
  private let tokens: Int
  private let steps: Int

  /// - Parameters:
  ///   - tokens: of one rank in a step, a multiple of the sequences' length.
  ///   - steps: timed; one more warms up.
  public init(
    _ configuration: RunConfiguration, threads: Int, tokens: Int, steps: Int, communicator: Communicator
  ) {
    var configuration = configuration
    // Short enough for whole units on every rank.
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
      leastBytes: bytes[1] * 4 * 4 * configuration.model.dim)
  }

  /// Waits for all ranks without using a core, as a barrier of MPI would.
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

  /// The median step of `ranks`, and what it communicates.
  private func run(_ configuration: RunConfiguration, _ ranks: Communicator) throws -> Cost {
    var configuration = configuration
    let length = configuration.pretrain.sequenceLength
    configuration.pretrain.batchSize = ranks.size * max(1, tokens / length)
    let model = try QuillanModel(configuration.model, configuration.precision)
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

/// Tokens that depend on nothing but their place.
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
