import Foundation
import Models
import Parameters
import Rollouts
import Tensors

/// Completes texts with packed weights: the rollout engine with stop strings, streaming and log-probabilities.
///
/// Text depends only on prompt, options, seed and ids, not on the batch or the number of threads.
public struct TextGenerator {
  /// Options for every prompt.
  public struct Options: Sendable {
    public var sampling = SamplingOptions()
    /// Completions per prompt.
    public var samples = 1
    public var seed: UInt64 = 0
    /// Stop strings: a completion ends before the first occurrence of any of them.
    public var stops: [String] = []
    /// How many of the most probable tokens to report at each step, besides the sampled token.
    public var alternatives = 0
    /// Maximum sequences decoded together; does not change any text.
    public var batch = 64

    public init() {}
  }

  /// A token with its log-probability.
  public struct Scored: Sendable, Equatable {
    public let token: Int32
    public let logProbability: Float
  }

  /// Why a completion ended.
  public enum Finish: String, Sendable { case end, length, stop, interrupted }

  public struct Completion: Sendable {
    public internal(set) var text = ""
    /// The generated tokens with log π before filters, including the end token and the tokens of a stop string.
    public internal(set) var tokens: [Scored] = []
    /// The most probable tokens at each step.
    public internal(set) var alternatives: [[Scored]] = []
    public internal(set) var finish = Finish.interrupted
    /// Latents of prompt and completion [T, ⌈B/8⌉].
    public internal(set) var latents: [UInt8] = []
  }

  public let model: QuillanModel
  public let weights: PackedModel
  public let tokenizer: any Tokenizer
  public let options: Options
  private let context: Context

  /// - Throws: `ModelSourceError` if the tokenizer's vocabulary is larger than the model's.
  public init(
    _ source: ModelSource, tokenizer: any Tokenizer, options: Options, context: Context
  ) throws {
    model = source.model
    guard tokenizer.vocabularySize <= model.configuration.vocabSize else {
      throw ModelSourceError(
        path: source.path,
        problem:
          "has a vocabulary of \(model.configuration.vocabSize) tokens, the tokenizer \(tokenizer.vocabularySize)",
        remedy: "name the tokenizer that the model was trained with (--tokenizer, or --set data.tokenizer=byte or "
          + "gpt2)",
        isBadData: true)
    }
    weights = try source.packed(context)
    self.tokenizer = tokenizer
    self.options = options
    self.context = context
  }

  /// The tokens of a prompt; an empty prompt becomes the end token.
  public func tokens(_ prompt: String) -> [Int32] {
    let tokens = tokenizer.encode(prompt)
    return tokens.isEmpty ? [tokenizer.endToken] : tokens
  }

  /// Maximum number of tokens of a prompt's completions.
  private func limit(_ prompt: [Int32]) -> Int {
    min(options.sampling.maxNewTokens, model.configuration.maxSeqLen - prompt.count)
  }

  /// Completes tokenized prompts.
  ///
  /// - Parameters:
  ///   - firstID: the sequence id of the first completion; the others follow in order.
  ///   - isInterrupted: polled at every token; true ends all completions.
  ///   - emit: receives text as soon as it is final, with the indices of prompt and completion.
  /// - Throws: `SamplingError` if logits are not finite.
  /// - Precondition: every prompt leaves room for at least one token. Only `options.sampling.maxNewTokens` and the room
  ///   after the prompt limit the length of a completion.
  public func complete(
    _ prompts: [[Int32]], firstID: UInt64 = 0, isInterrupted: () -> Bool = { false },
    emit: (Int, Int, String) -> Void = { _, _, _ in }
  ) throws -> [[Completion]] {
    var completions = prompts.map { _ in [Completion](repeating: Completion(), count: options.samples) }
    var streams = prompts.map { _ in
      [TextStream](repeating: TextStream(stops: options.stops), count: options.samples)
    }
    let sampler = Sampler(
      model: model, options: options.sampling, endTokens: tokenizer.completionEnds, seed: options.seed,
      maximumBatch: options.batch)
    let requests = prompts.enumerated().map { index, prompt in
      let first = firstID + UInt64(index * options.samples)
      return Sampler.Request(
        prompt: prompt, trajectories: (0..<UInt64(options.samples)).map { first + $0 }, limit: limit(prompt))
    }
    let trajectories = try sampler.sample(requests, weights, context) { draw in
      let (request, sample) = (draw.request, draw.sample)
      completions[request][sample].tokens.append(Scored(token: draw.token, logProbability: draw.logProbability))
      if options.alternatives > 0 {
        completions[request][sample].alternatives.append(
          draw.likeliest(options.alternatives).map { Scored(token: $0.token, logProbability: $0.logProbability) })
      }
      let text =
        tokenizer.completionEnds.contains(draw.token)
        ? "" : streams[request][sample].append(tokenizer.decodeBytes([draw.token]))
      completions[request][sample].text += text
      if !text.isEmpty { emit(request, sample, text) }
      return !streams[request][sample].isStopped && !isInterrupted()
    }
    for (request, group) in trajectories.enumerated() {
      for (sample, trajectory) in group.enumerated() {
        let rest = streams[request][sample].flush()
        completions[request][sample].text += rest
        if !rest.isEmpty { emit(request, sample, rest) }
        completions[request][sample].latents = trajectory.latents
        completions[request][sample].finish =
          streams[request][sample].isStopped
          ? .stop
          : trajectory.finished
            ? .end : trajectory.logProbabilities.count >= limit(prompts[request]) ? .length : .interrupted
      }
    }
    return completions
  }
}
