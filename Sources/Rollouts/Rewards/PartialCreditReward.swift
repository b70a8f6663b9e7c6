/// The share of characters that are right where they stand, so that a nearly right answer teaches something:
///
///     score = |{i : c_i = a_i}| / max(|a|, |c|)
///
/// for the characters c of the completion and a of the answer, white space at the ends aside. Missing and surplus
/// characters count as wrong ones; two empty texts score 1.
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
