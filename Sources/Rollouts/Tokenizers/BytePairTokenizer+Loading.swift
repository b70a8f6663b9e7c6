import Formats
import Foundation

extension BytePairTokenizer {
  /// A tokenizer from a `vocab.json` (token → id) and its `merges.txt`, the files of GPT-2.
  ///
  /// - Parameter endToken: the vocabulary's name of the token that ends a text.
  /// - Throws: `TokenizerError` for a missing or malformed file, ids with holes, a byte without a token, or a merge of
  ///   unknown tokens.
  public init(vocabulary: URL, merges: URL, endToken: String = "<|endoftext|>") throws(TokenizerError) {
    let file = vocabulary.relativePath
    let root = try Self.readJSON(vocabulary)
    guard let members = root.objectValue else {
      throw TokenizerError(
        file: file, line: nil, problem: "expected an object, found \(root.kind)", remedy: "give an object of token: id")
    }
    let mergesText = try Self.readText(merges)
    self.init(
      vocabulary: try BytePairVocabulary(
        members: members, added: [], endTokenText: endToken,
        pairs: try MergePair.parse(mergesText, file: merges.relativePath), file: file))
  }

  /// A tokenizer from a Hugging Face `tokenizer.json` of GPT-2's, GPT-4's, Llama-3's, Qwen's or SmolLM's form.
  ///
  /// Special tokens are never produced from text. Added tokens that are not special are found in texts as the
  /// `tokenizers` library finds them, and are decoded to their text. Post-processors are not applied: they only surround
  /// texts with special tokens, which a prompt template or a chat form writes.
  ///
  /// - Parameters:
  ///   - endToken: the name of the token that ends a text.
  ///   - controls: names of added tokens that are special even if the file does not say so.
  /// - Throws: `TokenizerError` for a missing or malformed file, or a model, normaliser or pre-tokenizer that would
  ///   give other ids.
  public init(tokenizer: URL, endToken: String = "<|endoftext|>", controls: Set<String> = []) throws(TokenizerError) {
    let root = try Self.readJSON(tokenizer)
    let file = try TokenizerFile(root: root, file: tokenizer.relativePath)
    let added = try file.addedTokens(special: controls.union([endToken]))
    self.init(
      vocabulary: try file.vocabulary(added: added, endTokenText: endToken), division: file.division,
      isComposed: file.isComposed, added: added)
  }

  private static func readJSON(_ url: URL) throws(TokenizerError) -> JSONValue {
    let text = try readText(url)
    do {
      return try JSONValue.parse(text.utf8)
    } catch {
      throw TokenizerError(
        file: url.relativePath, line: nil, problem: "not JSON: \(error)", remedy: "check that the file is complete")
    }
  }

  private static func readText(_ url: URL) throws(TokenizerError) -> String {
    do {
      return try TextFile.text(at: url)
    } catch {
      throw TokenizerError(file: error.file, line: error.line, problem: error.problem, remedy: error.remedy)
    }
  }
}
