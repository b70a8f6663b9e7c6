import Formats
import Rollouts

/// A line of the file that `evaluate --output` writes: one completion with its scores.
package enum CompletionLine {
  /// The first line of the file.
  package static let header = "{\"format\":\"quillan-completions\",\"version\":1}\n"

  /// - Parameter sample: index of the completion among the completions of the prompt, from 0.
  static func text(
    _ item: RewardItem, _ outcome: WeightedRewards.Outcome, task: String, mode: String, sample: Int,
    rewardNames: [String]
  ) -> String {
    let exact = ExactMatchReward().score(
      prompt: item.prompt, completion: item.completion, completionTokens: item.completionTokens,
      finished: item.finished)
    var members: [String: JSONValue] = [
      "task": .text(task), "mode": .text(mode), "sample": .integer(sample), "prompt": .text(item.prompt.text),
      "answer": .text(item.prompt.answer), "completion": .text(item.completion),
      "tokens": .integer(item.completionTokens), "finished": .bool(item.finished), "exact_match": .number(exact),
    ]
    switch outcome {
    case .scored(let score):
      members["reward"] = .number(score.total)
      members["rewards"] = .object(score.parts(named: rewardNames).mapValues(JSONValue.number))
    case .unscored(_, let reason):
      members["reward"] = .null
      members["unscored"] = .text(reason.rawValue)
    }
    return JSONValue.object(members).serialized + "\n"
  }
}
