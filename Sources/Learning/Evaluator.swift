import Configuration
import Layers
import Models
import MPI
import Parallelism
import Parameters
import Rollouts
import Tensors

/// Measures weights on held-out data. All ranks must call the same methods; results are equal on every rank.
///
/// A stop signal ends a measurement early: each rank that received the signal ends its sequences at the next token or
/// skips its next batch. Then all ranks drop their results and throw `StopSignal.CutShort`. If the process has not
/// installed `StopSignal`, this never happens.
public struct Evaluator {
  public let configuration: RunConfiguration
  public let model: QuillanModel
  public let tokenizer: any Tokenizer
  private let communicator: Communicator
  private let context: Context
  /// The first global id of evaluation sequences, so large that evaluation and training share no random number.
  private static let firstID: UInt64 = 1 << 48

  public init(
    configuration: RunConfiguration, model: QuillanModel, tokenizer: any Tokenizer, communicator: Communicator,
    context: Context
  ) {
    self.configuration = configuration
    self.model = model
    self.tokenizer = tokenizer
    self.communicator = communicator
    self.context = context
  }

  /// Answers `count` held-out prompts, greedily (`samples` is 0) or with `samples` sampled completions per prompt.
  ///
  /// - Parameter collected: the name of the task in `TaskResult.completions`; if nil, `completions` stays empty.
  public func task(
    _ source: any PromptSource, _ rewards: WeightedRewards, count: Int, samples: Int, _ weights: PackedModel,
    collected: String? = nil
  ) throws -> TaskResult {
    let all = try source.heldOut(count: count)
    let share = Share(of: all.count, rank: communicator.rank, size: communicator.size)
    let draws = max(1, samples)
    var options = SamplingOptions()
    options.greedy = samples == 0
    options.temperature = Float(samples == 0 ? 1 : configuration.evaluation.temperature)
    options.maxNewTokens = configuration.objective.maxTrajectoryLen
    let sampler = Sampler(
      model: model, options: options, endTokens: tokenizer.completionEnds, seed: configuration.rl.seed,
      maximumBatch: DecodingBatch.evaluation(configuration, ranks: communicator.size))
    let requests = try share.range.map { index in
      Sampler.Request(
        prompt: try PromptTokens.encode(all[index], tokenizer, configuration),
        trajectories: (0..<draws).map { Self.firstID + UInt64(index * draws + $0) })
    }
    let groups = try sampler.sample(requests, weights, context, isCancelled: { StopSignal.isReceived })
    try requireNoStop()
    let items = zip(share.range, groups).flatMap { index, group in
      group.map { trajectory in
        RewardItem(
          id: trajectory.id, prompt: all[index],
          completion: tokenizer.decode(trajectory.generatedTokens.filter { !tokenizer.completionEnds.contains($0) }),
          completionTokens: trajectory.logProbabilities.count, finished: trajectory.finished)
      }
    }
    let outcomes = try rewards.outcomes(items)
    let reported = PassRate.reported(samples: draws)
    let threshold = configuration.evaluation.threshold
    let records = stride(from: 0, to: items.count, by: draws).map { first in
      var record = PromptRecord()
      for index in first..<first + draws {
        record.add(
          items[index], outcomes[index],
          isRight: rewards.isRight(outcomes[index], of: items[index].prompt, threshold: threshold))
      }
      record.passRates = reported.map { PassRate.estimate(samples: draws, correct: Int(record.right), k: $0) }
      return record
    }
    let examples = zip(items, outcomes).prefix(8).map { item, outcome in
      CompletionSample(
        prompt: item.prompt.text, completion: item.completion, answer: item.prompt.answer,
        reward: outcome.score?.total ?? .nan)
    }
    let mode = samples == 0 ? "greedy" : "sampled"
    var completions = ""
    if let collected {
      let lines = zip(items, outcomes).enumerated().map { index, pair in
        CompletionLine.text(
          pair.0, pair.1, task: collected, mode: mode, sample: index % draws, rewards: rewards,
          threshold: threshold)
      }
      let parts = try communicator.gatherv(Array(lines.joined().utf8), to: 0)
      completions = String(decoding: (parts ?? []).joined(), as: UTF8.self)
    }
    var totals = PromptRecord()
    for record in try communicator.gather(records: records) { totals.add(record) }
    let number = Double(all.count * draws)
    let positions = rewards.positions(of: all.first?.source)
    return TaskResult(
      task: source.name, mode: mode, prompts: all.count, samples: draws, exactMatch: totals.exactMatch / number,
      passRate: totals.right / number, reward: totals.scored > 0 ? totals.reward / totals.scored : nil,
      rewards: Dictionary(
        positions.filter { totals.scored > 0 && totals.applied[$0] > 0 }
          .map { (rewards.names[$0], totals.parts[$0] / totals.applied[$0]) }
      ) { first, _ in first },
      meanLength: totals.tokens / number,
      finished: totals.finished / number, unscored: Int(number - totals.scored),
      passAt: Dictionary(
        uniqueKeysWithValues: zip(reported, totals.passRates).map { ($0, $1 / Double(all.count)) }),
      examples: examples, completions: completions)
  }

  /// Sums over the completions of a prompt, or of all prompts.
  private struct PromptRecord: RankRecord {
    var exactMatch = 0.0
    var right = 0.0
    var reward = 0.0
    /// The sum of each reward before its weight.
    var parts: [Double] = []
    /// For each reward, the number of completions to which it applies.
    var applied: [Double] = []
    var tokens = 0.0
    var finished = 0.0
    var scored = 0.0
    /// For each reported k.
    var passRates: [Double] = []

    mutating func add(_ item: RewardItem, _ outcome: WeightedRewards.Outcome, isRight: Bool) {
      right += isRight ? 1 : 0
      if let parts = outcome.score?.parts {
        self.parts = Self.sum(self.parts, parts.map { $0 ?? 0 })
        applied = Self.sum(applied, parts.map { $0 == nil ? 0 : 1 })
      }
      exactMatch += ExactMatchReward().score(
        prompt: item.prompt, completion: item.completion, completionTokens: item.completionTokens,
        finished: item.finished)
      reward += outcome.score?.total ?? 0
      tokens += Double(item.completionTokens)
      finished += item.finished ? 1 : 0
      scored += outcome.score == nil ? 0 : 1
    }

    mutating func add(_ other: Self) {
      exactMatch += other.exactMatch
      right += other.right
      parts = Self.sum(parts, other.parts)
      applied = Self.sum(applied, other.applied)
      reward += other.reward
      tokens += other.tokens
      finished += other.finished
      scored += other.scored
      passRates = Self.sum(passRates, other.passRates)
    }

    /// The sums of two lists of one length; an empty list counts as zeros.
    static func sum(_ a: [Double], _ b: [Double]) -> [Double] {
      a.isEmpty ? b : b.isEmpty ? a : zip(a, b).map(+)
    }
  }

  /// The results on a held-out text.
  public struct TextResult: Sendable, Equatable {
    public let bitsPerByte: Double
    /// Mean cross-entropy in nats per predicted token.
    public let crossEntropy: Double
    /// Number of predicted tokens, and of their bytes.
    public let tokens: Int
    public let bytes: Int
  }

  /// Bits per byte of `stream`, in windows of `length` tokens; the evaluated weights also sample the latents.
  ///
  /// - Parameter count: maximum number of windows. If the stream has more, the evaluation uses `count` windows at equal
  ///   distances, the same windows every time.
  public func text(_ stream: TokenStream, length: Int, count: Int, _ weights: PackedModel) throws -> TextResult {
    precondition(count > 0, "a text evaluation needs at least 1 window, got \(count)")
    let windows = stream.consecutiveWindows(length: length)
    let chosen = Self.spread(count, over: windows.count)
    let share = Share(of: chosen.count, rank: communicator.rank, size: communicator.size)
    let batch = max(1, MicroBatches.tokens(recomputed: false) / length)
    var records: [WindowRecord] = []
    for first in stride(from: share.range.lowerBound, to: share.range.upperBound, by: batch)
    where !StopSignal.isReceived {
      let indices = chosen[first..<min(first + batch, share.range.upperBound)]
      let sequences = indices.map { Array(windows[$0]) }
      let latents = LatentSampling.latents(
        sequences, ids: indices.map { Self.firstID + UInt64($0) }, seed: configuration.rl.seed, model, weights,
        context)
      let signals = SequenceSignals.of(
        zip(sequences, latents).map {
          TrainingSequence(id: 0, tokens: $0, positions: Array(1..<$0.count), latents: $1)
        }, model, weights, temperature: 1, context)
      for (signal, sequence) in zip(signals, sequences) {
        records.append(
          WindowRecord(
            negativeLogLikelihood: signal.logProbabilities.reduce(0.0) { $0 - Double($1) },
            tokens: signal.logProbabilities.count,
            bytes: tokenizer.decodeBytes(Array(sequence.dropFirst())).count))
      }
    }
    try requireNoStop()
    var totals = WindowRecord()
    for record in try communicator.gather(records: records) {
      totals.negativeLogLikelihood += record.negativeLogLikelihood
      totals.tokens += record.tokens
      totals.bytes += record.bytes
    }
    guard totals.negativeLogLikelihood.isFinite else {
      throw TrainingError(
        .failure, isAgreed: true,
        "the cross-entropy of the held-out text is \(totals.negativeLogLikelihood): the weights have diverged; use "
          + "earlier weights")
    }
    return TextResult(
      bitsPerByte: TokenStream.bitsPerByte(
        negativeLogLikelihood: totals.negativeLogLikelihood, bytes: totals.bytes),
      crossEntropy: totals.negativeLogLikelihood / Double(max(1, totals.tokens)), tokens: totals.tokens,
      bytes: totals.bytes)
  }

  /// Sums over the predicted tokens of a window of text, or of all windows.
  private struct WindowRecord: RankRecord {
    var negativeLogLikelihood = 0.0
    var tokens = 0
    var bytes = 0
  }

  /// Throws on all ranks if any rank was asked to stop, because that rank may have skipped work. Collective.
  private func requireNoStop() throws {
    if try StopSignal.isRequested(communicator) { throw StopSignal.CutShort() }
  }

  /// Up to `count` of the numbers 0 ..< `total`, at equal distances.
  package static func spread(_ count: Int, over total: Int) -> [Int] {
    if count >= total { return Array(0..<total) }
    // Avoids the product count · total, which could overflow.
    let (step, rest) = total.quotientAndRemainder(dividingBy: count)
    return (0..<count).map { $0 * step + min($0, rest) }
  }
}
