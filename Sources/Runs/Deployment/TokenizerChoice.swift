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
  /// How conversations are written.
  public var chat: ChatConfiguration?

  public init(
    _ kind: DataConfiguration.Tokenizer, file: String? = nil, merges: String? = nil,
    endToken: String = DataConfiguration().endToken, chat: ChatConfiguration? = nil
  ) {
    (self.kind, self.file, self.merges, self.endToken, self.chat) = (kind, file, merges, endToken, chat)
  }

  /// The keys of the section `data` that describe a tokenizer.
  static let keys: Set<String> = ["tokenizer", "tokenizer_file", "merges_file", "end_token", "chat"]

  /// The keys that this tokenizer needs, as files store them.
  var entries: [String: ConfigurationScalar] {
    var entries: [String: ConfigurationScalar] = ["tokenizer": .text(kind.rawValue)]
    entries["chat"] = chat.map { .text($0.text) }
    guard kind == .file else { return entries }
    entries["tokenizer_file"] = file.map { .text($0) }
    entries["merges_file"] = merges.map { .text($0) }
    entries["end_token"] = .text(endToken)
    return entries
  }

  /// Loads the tokenizer.
  ///
  /// - Throws: `TokenizerError` if a file is missing or is not a byte-level BPE tokenizer, or if the tokenizer lacks a
  ///   special token of the chat form.
  public func make() throws(TokenizerError) -> any Rollouts.Tokenizer {
    guard let chat else { return try base() }
    let form: ChatForm
    do throws(PromptTemplateError) { form = try chat.chatForm() } catch {
      throw TokenizerError(
        file: "data.chat", line: nil, problem: error.problem, remedy: "correct the form", isConfiguration: true)
    }
    return try ChatTokenizer(try base(controls: form.possibleControls), form: form)
  }

  /// The tokenizer without a chat form, in which `controls` are special tokens.
  private func base(controls: Set<String> = []) throws(TokenizerError) -> any Rollouts.Tokenizer {
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
      guard let merges else {
        return try BytePairTokenizer(tokenizer: vocabulary, endToken: endToken, controls: controls)
      }
      return try BytePairTokenizer(
        vocabulary: vocabulary, merges: URL(fileURLWithPath: merges), endToken: endToken)
    }
  }
}

extension DataConfiguration {
  /// The tokenizer that the section describes.
  public var tokenizerChoice: TokenizerChoice {
    TokenizerChoice(tokenizer, file: tokenizerFile, merges: mergesFile, endToken: endToken, chat: chat)
  }

  /// Loads the tokenizer that the section describes.
  ///
  /// - Throws: `TokenizerError` if a file is missing or is not a byte-level BPE tokenizer.
  public func makeTokenizer() throws(TokenizerError) -> any Rollouts.Tokenizer { try tokenizerChoice.make() }
}
