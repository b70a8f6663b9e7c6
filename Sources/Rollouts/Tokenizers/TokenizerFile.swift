import Formats

/// The parts of a Hugging Face `tokenizer.json` that decide ids, checked to match `BytePairTokenizer`.
struct TokenizerFile {
  private let root: [String: JSONValue]
  private let model: [String: JSONValue]
  private let file: String

  init(root: JSONValue, file: String) throws(TokenizerError) {
    self.file = file
    self.root = root.objectValue ?? [:]
    model = self.root["model"]?.objectValue ?? [:]
    let modelType = model["type"]?.textValue ?? (model["merges"] == nil ? "absent" : "BPE")
    try require(modelType == "BPE", "the model is \(modelType)")
    for option in ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] {
      let value = model[option] ?? .null
      try require(value == .null || value == .text("") || value == .number(0), "the model has a \(option)")
    }
    try require([nil, .null, .bool(false)].contains(model["ignore_merges"]), "the model sets ignore_merges")
    try require((self.root["normalizer"] ?? .null) == .null, "there is a normaliser")
    let division = self.root["pre_tokenizer"]?.objectValue ?? [:]
    try require(
      division["type"]?.textValue == "ByteLevel", "the pre-tokenizer is \(division["type"]?.textValue ?? "absent")")
    try require(
      [nil, .null, .bool(false)].contains(division["add_prefix_space"]), "the pre-tokenizer adds a space in front")
    try require(
      [nil, .null, .bool(true)].contains(division["use_regex"]), "the pre-tokenizer does not divide into words")
  }

  func vocabulary(endTokenText: String) throws(TokenizerError) -> BytePairVocabulary {
    guard let vocabulary = model["vocab"]?.objectValue else { throw fault("model.vocab is missing or not an object") }
    guard let merges = model["merges"]?.listValue else { throw fault("model.merges is missing or not a list") }
    var pairs: [MergePair] = []
    for (rank, merge) in merges.enumerated() {
      guard let pair = Self.pair(merge) else { throw fault("merge \(rank) is not two byte symbols") }
      pairs.append(pair)
    }
    var added: [String: Int32] = [:]
    for entry in root["added_tokens"]?.listValue ?? [] {
      guard let members = entry.objectValue, let content = members["content"]?.textValue,
        let integer = members["id"]?.integerValue, let id = Int32(exactly: integer), id >= 0
      else { throw fault("an entry of added_tokens has no content or no id") }
      // The tokenizers library encodes text as such a token and decodes it to text.
      if members["special"]?.boolValue != true {
        throw TokenizerError(
          file: file, line: nil, problem: "the added token '\(content)' (id \(id)) is not special",
          remedy: "such tokens are not supported yet: use a tokenizer without them")
      }
      try require(added.updateValue(id, forKey: content) == nil, "the added token '\(content)' appears twice")
      if let other = vocabulary[content], other != .integer(integer) {
        throw fault("the added token '\(content)' has the id \(id), but another in model.vocab")
      }
    }
    return try BytePairVocabulary(
      members: vocabulary, added: added, endTokenText: endTokenText, pairs: pairs, file: file)
  }

  /// A merge is written "a b" or ["a", "b"].
  private static func pair(_ merge: JSONValue) -> MergePair? {
    if let text = merge.textValue {
      let parts = text.split(separator: " ", omittingEmptySubsequences: false)
      return parts.count == 2 ? MergePair(left: parts[0], right: parts[1]) : nil
    }
    guard let parts = merge.listValue, parts.count == 2, let left = parts[0].textValue, let right = parts[1].textValue
    else { return nil }
    return MergePair(left: left, right: right)
  }

  private func require(_ condition: Bool, _ problem: String) throws(TokenizerError) {
    if !condition { throw fault(problem) }
  }

  private func fault(_ problem: String) -> TokenizerError {
    TokenizerError(
      file: file, line: nil, problem: problem,
      remedy: "use a byte-level BPE tokenizer.json that divides words like GPT-2's")
  }
}
