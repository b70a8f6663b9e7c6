/// 1 if the completion's result is the answer's number, else 0.
///
/// The result of a text is the first number behind its last `####` (GSM8K's form: Cobbe et al., 2021), else the last one in
/// its last `\boxed{…}`, else its last number. What counts as a number is `numeric_match` in the article on rewards. Values
/// are compared exactly: signs count; separators between thousands and zeros at the ends do not, and 1/2 is 0.5.
/// Undefined (NaN) if the prompt's answer holds no number.
public struct NumericMatchReward: Reward {
  public let name = "numeric_match"

  public init() {}

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    guard let answer = DecimalNumber.result(of: prompt.answer) else { return .nan }
    return DecimalNumber.result(of: completion) == answer ? 1 : 0
  }
}
