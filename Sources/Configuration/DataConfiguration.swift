import Rollouts

/// Prompts, text, tokenizer and rewards (the `data` section). Paths are relative to the working directory.
public struct DataConfiguration: Sendable, Equatable {
  /// The tokenizers.
  public enum Tokenizer: String, Sendable, CaseIterable {
    /// 256 bytes, end, begin, pad.
    case byte
    /// GPT-2's byte-level byte-pair encoding.
    case gpt2
    /// A byte-level byte-pair encoding from `tokenizerFile`.
    case file

    /// Ids that the tokenizer can produce; 0 for a file's, which is not known before it is read.
    public var vocabularySize: Int {
      switch self {
      case .byte: 259
      case .gpt2: 50257
      case .file: 0
      }
    }
  }

  /// What becomes of a prompt of more than `maxPromptLen` tokens.
  public enum Truncation: String, Sendable, CaseIterable {
    /// An error that names the prompt.
    case error
    /// The first tokens are cut off.
    case left
    /// The last tokens are cut off.
    case right
  }

  /// A built-in task; exclusive with `prompts`.
  public var task: TaskConfiguration?
  /// A JSON Lines file of prompts and answers; exclusive with `task`.
  public var prompts: String?
  /// A JSON Lines file of recorded trajectories that `train` learns from, instead of sampling.
  public var trajectories: String?
  /// A text or JSON Lines file for pre-training.
  public var text: String?
  /// Share of the data kept for evaluation, never trained on.
  public var heldOut = 0.05
  /// How problems are held out and ordered; nil: as the checkpoint that is gone on from, or `SplitVersion.current`.
  public var splitVersion: SplitVersion?
  /// The tokenizer.
  public var tokenizer = Tokenizer.gpt2
  /// A Hugging Face `tokenizer.json`, or a `vocab.json` beside `mergesFile`.
  public var tokenizerFile: String?
  /// The `merges.txt` that belongs to a `vocab.json`.
  public var mergesFile: String?
  /// The token of `tokenizerFile` that ends a text.
  public var endToken = "<|endoftext|>"
  /// How a prompt becomes what the model reads (`PromptTemplate`).
  public var template = "{prompt}"
  /// Tokens of a prompt, at most.
  public var maxPromptLen = 1920
  /// What becomes of longer ones.
  public var truncation = Truncation.error
  /// The terms of the reward.
  public var rewards = [RewardConfiguration()]

  /// The defaults: no data.
  public init() {}
}
