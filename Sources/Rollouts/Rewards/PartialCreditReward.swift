/// The share of characters that are correct at their position, so that a nearly correct answer gives a signal:
///
///     score = |{i : c_i = a_i}| / max(|a|, |c|)
///
/// for the characters c of the completion and a of the answer, ignoring white space at the ends. Missing and surplus
/// characters count as wrong; two empty texts score 1.
public struct PartialCreditReward: Reward {
  public let name = "partial_credit"

  public init() {}

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    let answer = prompt.answer.trimmed
    let written = completion.trimmed
    let length = max(answer.count, written.count)
    if length == 0 { return 1 }
    return Double(zip(answer, written).count(where: { $0 == $1 })) / Double(length)
  }
}
