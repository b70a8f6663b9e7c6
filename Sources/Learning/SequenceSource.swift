import Configuration
import Rollouts

/// Sequences by number. A source has no state, so any rank can create any sequence.
public protocol SequenceSource: Sendable {
  func sequence(step: Int, index: Int, batchSize: Int) throws -> TrainingSequence
}

/// Windows of a text. Trains on every token of a window except the first.
public struct TextSequences: SequenceSource {
  let stream: TokenStream
  let length: Int
  let seed: UInt64
  let isShuffled: Bool

  public init(stream: TokenStream, length: Int, seed: UInt64, isShuffled: Bool = true) {
    self.stream = stream
    self.length = length
    self.seed = seed
    self.isShuffled = isShuffled
  }

  public func sequence(step: Int, index: Int, batchSize: Int) -> TrainingSequence {
    let tokens = Array(
      stream.window(
        seed: seed, step: step, sequence: index, sequencesPerStep: batchSize, length: length, isShuffled: isShuffled))
    return TrainingSequence(
      id: UInt64(step * batchSize + index), tokens: tokens, positions: Array(1..<tokens.count))
  }
}

/// Demonstrations of a task: prompt, answer, end token. Trains on the answer and the end token
/// or, without `pretrain.completion_only_loss`, on all tokens but the first.
public struct DemonstrationSequences: SequenceSource {
  let prompts: any PromptSource
  let tokenizer: any Tokenizer
  let configuration: RunConfiguration

  public init(prompts: any PromptSource, tokenizer: any Tokenizer, configuration: RunConfiguration) {
    self.prompts = prompts
    self.tokenizer = tokenizer
    self.configuration = configuration
  }

  public func sequence(step: Int, index: Int, batchSize: Int) throws -> TrainingSequence {
    let number = step * batchSize + index
    return try Self.sequence(
      UInt64(number), of: prompts.prompt(index: number, split: .train), tokenizer, configuration)
  }

  /// The demonstration of a prompt.
  package static func sequence(
    _ id: UInt64 = 0, of prompt: Prompt, _ tokenizer: any Tokenizer, _ configuration: RunConfiguration
  ) throws -> TrainingSequence {
    let question = try PromptTokens.encode(prompt, tokenizer, configuration)
    let answer = tokenizer.encode(prompt.answer) + [tokenizer.answerEnd]
    guard question.count + answer.count <= configuration.model.maxSeqLen else {
      throw TrainingError(
        .data,
        "\(prompt.origin): prompt and answer have \(question.count + answer.count) tokens, model.max_seq_len is "
          + "\(configuration.model.maxSeqLen); shorten them or raise model.max_seq_len")
    }
    let first = configuration.pretrain.completionOnlyLoss ? question.count : 1
    return TrainingSequence(
      id: id, tokens: question + answer, positions: Array(first..<question.count + answer.count))
  }
}
