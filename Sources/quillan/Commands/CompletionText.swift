import Formats
import Foundation
import Models
import Rollouts
import Training

/// Completions as JSON.
enum CompletionText {
  /// One prompt's completions.
  static func json(
    _ text: String, _ prompt: [Int32], _ completions: [TextGenerator.Completion], _ tokenizer: any Tokenizer,
    _ command: GenerateCommand
  ) -> JSONValue {
    .object([
      "prompt": .text(text), "prompt_tokens": .integer(prompt.count),
      "completions": .list(completions.map { completion($0, tokenizer, command) }),
    ])
  }

  private static func completion(
    _ completion: TextGenerator.Completion, _ tokenizer: any Tokenizer, _ command: GenerateCommand
  ) -> JSONValue {
    var members: [String: JSONValue] = [
      "text": .text(completion.text), "finish": .text(completion.finish.rawValue),
      "tokens": .list(completion.tokens.map { .integer(Int($0.token)) }),
    ]
    if let count = command.drawing.logprobs {
      members["logprobs"] = .list(completion.tokens.map { .number(Double($0.logProbability)) })
      if count > 0 {
        members["top"] = .list(
          completion.alternatives.map { step in
            .list(
              step.map {
                .object([
                  "token": .integer(Int($0.token)), "text": .text(tokenizer.decode([$0.token])),
                  "logprob": .number(Double($0.logProbability)),
                ])
              })
          })
      }
    }
    if command.latents {
      members["latents"] = .text(completion.latents.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }
    return .object(members)
  }
}

/// Token ids as their own text, for models whose tokenizer lies elsewhere.
struct NumberTokenizer: Tokenizer {
  let vocabularySize: Int
  /// Ends a sequence.
  let endToken: Int32
  /// An end token that is never drawn.
  static let noToken: Int32 = -1

  init(_ model: QuillanModel, endToken: Int32) {
    vocabularySize = model.configuration.vocabSize
    self.endToken = endToken
  }

  /// - Throws: `CommandError` for what is no id of the vocabulary.
  static func parse(_ text: String, vocabulary: Int) throws(CommandError) -> [Int32] {
    var tokens: [Int32] = []
    for word in text.split(whereSeparator: { $0.isWhitespace || $0 == "," }) {
      guard let token = Int32(word), token >= 0, Int(token) < vocabulary else {
        throw CommandError(.badData, "the prompt holds '\(word.prefix(20))'; token ids go from 0 to \(vocabulary - 1)")
      }
      tokens.append(token)
    }
    guard !tokens.isEmpty else { throw CommandError(.badData, "the prompt holds no token id; give one or more") }
    return tokens
  }

  func encode(bytes: [UInt8]) -> [Int32] { [] }

  func decodeBytes(_ ids: [Int32]) -> [UInt8] { ids.flatMap { Array("\($0) ".utf8) } }
}
