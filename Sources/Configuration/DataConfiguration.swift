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

    /// The number of ids that the tokenizer can produce; 0 for `file`, since the file has not been read.
    public var vocabularySize: Int {
      switch self {
      case .byte: 259
      case .gpt2: 50257
      case .file: 0
      }
    }
  }

  /// What happens to a prompt of more than `maxPromptLen` tokens.
  public enum Truncation: String, Sendable, CaseIterable {
    /// An error that names the prompt.
    case error
    /// The first tokens are cut off.
    case left
    /// The last tokens are cut off.
    case right
  }

  /// A built-in task; cannot be combined with `prompts`.
  public var task: TaskConfiguration?
  /// A file of prompts and answers; cannot be combined with `task`.
  public var prompts: String?
  /// Several sources, each with its own rewards and metrics; cannot be combined with `task` and `prompts`.
  public var sources: [DataSourceConfiguration] = []
  /// The members that hold prompt, answer and text; nil means those names.
  public var members: MemberConfiguration?
  /// Whether each epoch visits the data in a new order.
  public var shuffle = true
  /// How training prompts are chosen; nil means uniformly.
  public var sampler: SamplerConfiguration?
  /// A JSON Lines file of recorded trajectories, which `train` uses instead of sampling.
  public var trajectories: String?
  /// A text or JSON Lines file for pre-training.
  public var text: String?
  /// Fraction of the data that is held out for evaluation and never trained on.
  public var heldOut = 0.05
  /// How problems are held out and ordered; nil means as in the checkpoint that the run resumes from, or
  /// `SplitVersion.current`.
  public var splitVersion: SplitVersion?
  /// The tokenizer.
  public var tokenizer = Tokenizer.gpt2
  /// A Hugging Face `tokenizer.json`, or a `vocab.json` beside `mergesFile`.
  public var tokenizerFile: String?
  /// The `merges.txt` that belongs to a `vocab.json`.
  public var mergesFile: String?
  /// The token of `tokenizerFile` that ends a text.
  public var endToken = "<|endoftext|>"
  /// How conversations are written; nil means that prompts are plain text. With it, the text of a prompt is the user's
  /// message.
  public var chat: ChatConfiguration?
  /// The text that the model reads for a prompt (`PromptTemplate`).
  public var template = "{prompt}"
  /// Maximum tokens of a prompt.
  public var maxPromptLen = 1920
  /// What happens to longer prompts.
  public var truncation = Truncation.error
  /// The terms of the reward.
  public var rewards = [RewardConfiguration()]

  /// The defaults: no data.
  public init() {}
}
