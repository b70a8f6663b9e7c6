import Configuration
import Exports
import Foundation
import Rollouts

/// The tokenizer of a model: a built-in one, or the tokenizer of a file.
public struct TokenizerChoice: Sendable, Equatable {
  public var kind: DataConfiguration.Tokenizer
  /// With kind `file`: a Hugging Face `tokenizer.json`, or a `vocab.json` beside `merges`.
  public var file: String?
  public var merges: String?
  /// With kind `file`: the token that ends a text.
  public var endToken: String

  public init(
    _ kind: DataConfiguration.Tokenizer, file: String? = nil, merges: String? = nil,
    endToken: String = DataConfiguration().endToken
  ) {
    (self.kind, self.file, self.merges, self.endToken) = (kind, file, merges, endToken)
  }

  /// The keys of the section `data` that describe a tokenizer.
  static let keys: Set<String> = ["tokenizer", "tokenizer_file", "merges_file", "end_token"]

  /// The keys that this tokenizer needs, as files store them.
  var entries: [String: ConfigurationScalar] {
    var entries: [String: ConfigurationScalar] = ["tokenizer": .text(kind.rawValue)]
    guard kind == .file else { return entries }
    entries["tokenizer_file"] = file.map { .text($0) }
    entries["merges_file"] = merges.map { .text($0) }
    entries["end_token"] = .text(endToken)
    return entries
  }

  /// Loads the tokenizer.
  ///
  /// - Throws: `TokenizerError` if a file is missing or is not a byte-level BPE tokenizer.
  public func make() throws(TokenizerError) -> any Rollouts.Tokenizer {
    switch kind {
    case .byte: return ByteTokenizer()
    case .gpt2: return try BytePairTokenizer.gpt2()
    case .file:
      guard let path = file else {
        throw TokenizerError(
          file: "data.tokenizer_file", line: nil, problem: "the tokenizer 'file' needs a file",
          remedy: "name it with --tokenizer FILE (generate) or data.tokenizer_file")
      }
      let vocabulary = URL(fileURLWithPath: path)
      guard let merges else { return try BytePairTokenizer(tokenizer: vocabulary, endToken: endToken) }
      return try BytePairTokenizer(
        vocabulary: vocabulary, merges: URL(fileURLWithPath: merges), endToken: endToken)
    }
  }
}

extension DataConfiguration {
  /// The tokenizer that the section describes.
  public var tokenizerChoice: TokenizerChoice {
    TokenizerChoice(tokenizer, file: tokenizerFile, merges: mergesFile, endToken: endToken)
  }

  /// Loads the tokenizer that the section describes.
  ///
  /// - Throws: `TokenizerError` if a file is missing or is not a byte-level BPE tokenizer.
  public func makeTokenizer() throws(TokenizerError) -> any Rollouts.Tokenizer { try tokenizerChoice.make() }
}
