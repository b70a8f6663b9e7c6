import Foundation
import Rollouts

extension DataConfiguration.Tokenizer {
  /// The tokenizer of this name.
  ///
  /// - Throws: `TokenizerError` where the package's merges are missing, or the tokenizer is that of a file.
  public func make() throws(TokenizerError) -> any Rollouts.Tokenizer {
    switch self {
    case .byte: ByteTokenizer()
    case .gpt2: try BytePairTokenizer.gpt2()
    case .file:
      throw TokenizerError(
        file: "data.tokenizer_file", line: nil, problem: "the tokenizer is a file's, which is not named here",
        remedy: "give the configuration that names it")
    }
  }
}

extension DataConfiguration {
  /// The tokenizer of the section: one that is built in, or that of `tokenizer_file`.
  ///
  /// - Throws: `TokenizerError` where a file is missing or is no byte-level BPE.
  public func makeTokenizer() throws(TokenizerError) -> any Rollouts.Tokenizer {
    guard tokenizer == .file, let path = tokenizerFile else { return try tokenizer.make() }
    let file = URL(fileURLWithPath: path)
    guard let mergesFile else { return try BytePairTokenizer(tokenizer: file, endToken: endToken) }
    return try BytePairTokenizer(vocabulary: file, merges: URL(fileURLWithPath: mergesFile), endToken: endToken)
  }
}
