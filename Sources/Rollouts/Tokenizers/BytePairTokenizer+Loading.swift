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
        members: members, added: [:], endTokenText: endToken,
        pairs: try MergePair.parse(mergesText, file: merges.relativePath), file: file))
  }

  /// A tokenizer from a Hugging Face `tokenizer.json` with a byte-level BPE and GPT-2's division into words.
  ///
  /// Its added tokens are never produced from text. Post-processors are not applied: they only surround texts with
  /// special tokens.
  ///
  /// - Throws: `TokenizerError` for a missing or malformed file, or a model, normaliser or pre-tokenizer that would
  ///   give other ids.
  public init(tokenizer: URL, endToken: String = "<|endoftext|>") throws(TokenizerError) {
    let file = tokenizer.relativePath
    let root = try Self.readJSON(tokenizer)
    self.init(vocabulary: try TokenizerFile(root: root, file: file).vocabulary(endTokenText: endToken))
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

extension BytePairVocabulary {
  /// A vocabulary from visible token names and ids; `added` are the special tokens, in `members` or not.
  init(
    members: [String: JSONValue], added: [String: Int32], endTokenText: String, pairs: [MergePair], file: String
  ) throws(TokenizerError) {
    var names: [Int32: String] = [:]
    for (name, value) in members {
      guard let integer = value.integerValue, let id = Int32(exactly: integer), id >= 0 else {
        throw TokenizerError(
          file: file, line: nil, problem: "the id of token '\(name)' is \(value.kind), not a whole number from 0",
          remedy: "use a vocabulary of token: id")
      }
      if let other = names.updateValue(name, forKey: id) {
        throw TokenizerError(
          file: file, line: nil, problem: "tokens '\(other)' and '\(name)' share the id \(id)",
          remedy: "give them different ids")
      }
    }
    for (name, id) in added {
      guard let other = names[id], other != name else { continue }
      throw TokenizerError(
        file: file, line: nil, problem: "the added token '\(name)' has the id \(id) of token '\(other)'",
        remedy: "give them different ids")
    }
    var special = Set(added.values)
    guard let endToken = added[endTokenText] ?? members[endTokenText]?.integerValue.map({ Int32($0) }) else {
      throw TokenizerError(
        file: file, line: nil, problem: "the vocabulary has no token '\(endTokenText)'",
        remedy: "name the end token in the tokenizer's settings")
    }
    special.insert(endToken)
    let size = names.count + special.filter { names[$0] == nil }.count
    if let outside = special.filter({ $0 >= size }).min() {
      throw TokenizerError(
        file: file, line: nil, problem: "the special token \(outside) is above the \(size) tokens",
        remedy: "use ids from 0 without holes")
    }
    var tokens: [[UInt8]] = []
    for id in 0..<Int32(size) {
      if special.contains(id) {
        tokens.append([])
        continue
      }
      guard let name = names[id] else {
        throw TokenizerError(
          file: file, line: nil, problem: "no token has the id \(id), of \(size)",
          remedy: "use ids from 0 without holes")
      }
      guard let bytes = ByteSymbols.bytes(of: name), !bytes.isEmpty else {
        throw TokenizerError(
          file: file, line: nil, problem: "token \(id) '\(name)' is not in byte symbols",
          remedy: "use a byte-level BPE vocabulary, like GPT-2's")
      }
      tokens.append(bytes)
    }
    try self.init(tokens: tokens, endToken: endToken, special: special, pairs: pairs, file: file)
    name(specialTokens: added.merging([endTokenText: endToken]) { $1 })
  }
}
