/// 1 if the completion's result is the answer's number, else 0.
///
/// The result of a text is the first number after its last `####` (GSM8K's form: Cobbe et al., 2021), else the last
/// number in its last `\boxed{…}`, else its last number. The article on rewards has the grammar of numbers
/// (`numeric_match`). Values are compared exactly: signs count; thousands separators and zeros at the ends do not, and
/// 1/2 equals 0.5. Undefined (NaN) if the prompt's answer contains no number.
public struct NumericMatchReward: Reward {
  public let name = "numeric_match"

  public init() {}

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    guard let answer = DecimalNumber.result(of: prompt.answer) else { return .nan }
    return DecimalNumber.result(of: completion) == answer ? 1 : 0
  }
}
