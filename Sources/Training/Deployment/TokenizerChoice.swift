import Rollouts

extension DataConfiguration.Tokenizer {
  /// The tokenizer of this name.
  ///
  /// - Throws: `TokenizerError` where the package's merges are missing.
  public func make() throws(TokenizerError) -> any Tokenizer {
    switch self {
    case .byte: ByteTokenizer()
    case .gpt2: try BytePairTokenizer.gpt2()
    }
  }
}
