import Rollouts
import Runs

/// Completions as JSON.
enum CompletionText {
  /// The completions of one prompt.
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
    if let count = command.sampling.logprobs {
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
