import Formats

extension BytePairVocabulary {
  /// A vocabulary from visible token names and ids.
  ///
  /// - Parameters:
  ///   - added: the added tokens, in `members` or not.
  ///   - endTokenText: the name of the token that ends a text; it is special.
  init(
    members: [String: JSONValue], added: [AddedToken], endTokenText: String, pairs: [MergePair],
    ignoresMerges: Bool = false, file: String
  ) throws(TokenizerError) {
    let names = try Self.names(members, file: file)
    let addedIDs = Dictionary(added.map { ($0.content, $0.id) }) { first, _ in first }
    for token in added {
      guard let other = names[token.id], other != token.content else { continue }
      throw TokenizerError(
        file: file, line: nil, problem: "the added token '\(token.content)' has the id \(token.id) of token '\(other)'",
        remedy: "give them different ids")
    }
    guard let endToken = addedIDs[endTokenText] ?? members[endTokenText]?.integerValue.map({ Int32($0) }) else {
      let special = added.filter(\.isSpecial).map { "'\($0.content)'" }
      let shown = special.prefix(6).joined(separator: ", ") + (special.count > 6 ? ", …" : "")
      throw TokenizerError(
        file: file, line: nil, problem: "the vocabulary has no token '\(endTokenText)'",
        remedy: "name the end token (data.end_token, or --end-token with --tokenizer)"
          + (special.isEmpty ? "" : "; its special tokens are \(shown)"))
    }
    var tokenOfID: [Int32: AddedToken] = [:]
    for token in added {
      if let other = tokenOfID.updateValue(token, forKey: token.id) {
        throw TokenizerError(
          file: file, line: nil, problem: "tokens '\(other.content)' and '\(token.content)' share the id \(token.id)",
          remedy: "give them different ids")
      }
    }
    let count = names.count + tokenOfID.keys.count { names[$0] == nil }
    let last = max(names.keys.max() ?? 0, tokenOfID.keys.max() ?? 0)
    guard last < 2 * count else {
      throw TokenizerError(
        file: file, line: nil, problem: "the id \(last) is above the \(count) tokens and as many unused ids",
        remedy: "use ids from 0, with few that no token has")
    }
    var tokens: [Token] = []
    for id in 0...last {
      if let token = tokenOfID[id], token.content != names[id] || !token.content.utf8.allSatisfy({ $0 < 0x80 }) {
        tokens.append(token.isSpecial || id == endToken ? .special : .added(Array(token.content.utf8)))
      } else if id == endToken || tokenOfID[id]?.isSpecial == true {
        tokens.append(.special)
      } else if let name = names[id] {
        if let bytes = ByteSymbols.bytes(of: name), !bytes.isEmpty {
          tokens.append(.ordinary(bytes))
        } else if tokenOfID[id] != nil {
          tokens.append(.added(Array(name.utf8)))
        } else {
          throw TokenizerError(
            file: file, line: nil, problem: "token \(id) '\(name)' is not in byte symbols",
            remedy: "use a byte-level BPE vocabulary, like GPT-2's")
        }
      } else {
        tokens.append(.unused)
      }
    }
    try self.init(tokens: tokens, endToken: endToken, pairs: pairs, ignoresMerges: ignoresMerges, file: file)
    let special = added.filter(\.isSpecial).map { ($0.content, $0.id) } + [(endTokenText, endToken)]
    name(specialTokens: Dictionary(special) { first, _ in first })
  }

  /// The names of tokens by id.
  private static func names(_ members: [String: JSONValue], file: String) throws(TokenizerError) -> [Int32: String] {
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
    return names
  }
}
