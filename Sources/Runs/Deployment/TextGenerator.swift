import Foundation
import Models
import Parameters
import Rollouts
import Tensors

/// Completes texts with packed weights: the rollout engine behind stop strings, streaming and logs.
///
/// Equal prompts, options, seed and ids give equal text, in any batch and on any number of threads.
public struct TextGenerator {
  /// What to do with every prompt.
  public struct Options: Sendable {
    public var sampling = SamplingOptions()
    /// Completions of a prompt.
    public var samples = 1
    public var seed: UInt64 = 0
    /// A completion ends before the first of these.
    public var stops: [String] = []
    /// Most probable tokens to report at each step besides the drawn one's log-probability.
    public var alternatives = 0
    /// Sequences decoded together at most; changes no text.
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
    /// The generated tokens with log π, before filters; those of a stop string and the end token included.
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

  /// - Throws: `ModelSourceError` where the tokenizer makes tokens that the model does not have.
  public init(
    _ source: ModelSource, tokenizer: any Tokenizer, options: Options, context: Context
  ) throws {
    model = source.model
    guard tokenizer.vocabularySize <= model.configuration.vocabSize else {
      throw ModelSourceError(
        path: source.path,
        problem:
          "has a vocabulary of \(model.configuration.vocabSize), the tokenizer \(tokenizer.vocabularySize) tokens",
        remedy: "name the tokenizer that it was trained with (--tokenizer, or --set data.tokenizer=byte or gpt2)",
        isBadData: true)
    }
    weights = try source.packed(context)
    self.tokenizer = tokenizer
    self.options = options
    self.context = context
  }

  /// The tokens of a prompt; an empty one starts from the end token.
  public func tokens(_ prompt: String) -> [Int32] {
    let tokens = tokenizer.encode(prompt)
    return tokens.isEmpty ? [tokenizer.endToken] : tokens
  }

  /// Tokens of a prompt's completions, at most.
  private func limit(_ prompt: [Int32]) -> Int {
    min(options.sampling.maxNewTokens, model.configuration.maxSeqLen - prompt.count)
  }

  /// Completes prompts of tokens.
  ///
  /// - Parameters:
  ///   - firstID: the sequence id of the first prompt's first completion; the others follow.
  ///   - isInterrupted: asked at every token; true ends all completions.
  ///   - emit: text as it becomes certain, with the places of its prompt and completion.
  /// - Throws: `SamplingError` if logits are not finite.
  /// - Precondition: every prompt leaves room for one token. A completion has as many as `options.sampling.maxNewTokens`
  ///   and the model's room behind its own prompt allow, whatever else is completed.
  public func complete(
    _ prompts: [[Int32]], firstID: UInt64 = 0, isInterrupted: () -> Bool = { false },
    emit: (Int, Int, String) -> Void = { _, _, _ in }
  ) throws -> [[Completion]] {
    var completions = prompts.map { _ in [Completion](repeating: Completion(), count: options.samples) }
    var streams = prompts.map { _ in
      [TextStream](repeating: TextStream(stops: options.stops), count: options.samples)
    }
    let sampler = Sampler(
      model: model, options: options.sampling, endToken: tokenizer.endToken, seed: options.seed,
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
        draw.token == tokenizer.endToken ? "" : streams[request][sample].append(tokenizer.decodeBytes([draw.token]))
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
