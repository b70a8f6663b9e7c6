/// 1 where the completion's result is the answer's number, else 0.
///
/// The result of a text is the number behind its last `####` (GSM8K's form: Cobbe et al., 2021), else its last number.
/// Numbers are compared as exact decimals: signs count, commas between thousands and zeros at the ends do not.
/// Undefined (NaN) where the prompt's answer holds no number.
public struct NumericMatchReward: Reward {
  public let name = "numeric_match"

  public init() {}

  public func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    guard let answer = DecimalNumber.result(of: prompt.answer) else { return .nan }
    return DecimalNumber.result(of: completion) == answer ? 1 : 0
  }
}
