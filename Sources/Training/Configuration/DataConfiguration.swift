/// Prompts, text, tokenizer and rewards (the `data` section). Paths are relative to the working directory.
public struct DataConfiguration: Sendable, Equatable {
  /// The tokenizers.
  public enum Tokenizer: String, Sendable, CaseIterable {
    /// 256 bytes, end, begin, pad.
    case byte
    /// GPT-2's byte-level byte-pair encoding.
    case gpt2

    /// Ids that the tokenizer can produce.
    public var vocabularySize: Int {
      switch self {
      case .byte: 259
      case .gpt2: 50257
      }
    }
  }

  /// A built-in task; exclusive with `prompts`.
  public var task: TaskConfiguration?
  /// A JSON Lines file of prompts and answers; exclusive with `task`.
  public var prompts: String?
  /// A text or JSON Lines file for pre-training.
  public var text: String?
  /// Share of the data kept for evaluation, never trained on.
  public var heldOut = 0.05
  /// The tokenizer.
  public var tokenizer = Tokenizer.gpt2
  /// Tokens of a prompt, at most.
  public var maxPromptLen = 1920
  /// The terms of the reward.
  public var rewards = [RewardConfiguration()]

  /// The defaults: no data.
  public init() {}
}
