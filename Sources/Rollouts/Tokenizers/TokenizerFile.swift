import Formats

/// The parts of a Hugging Face `tokenizer.json` that decide ids, checked to match `BytePairTokenizer`.
struct TokenizerFile {
  /// How texts are divided into words.
  private(set) var division = WordDivision.gpt2
  /// Whether texts are normalised to form C.
  private(set) var isComposed = false
  private let root: [String: JSONValue]
  private let model: [String: JSONValue]
  private let file: String

  init(root: JSONValue, file: String) throws(TokenizerError) {
    self.file = file
    self.root = root.objectValue ?? [:]
    model = self.root["model"]?.objectValue ?? [:]
    try checkModel()
    isComposed = try composes(self.root["normalizer"] ?? .null)
    division = try division(of: try steps(self.root["pre_tokenizer"] ?? .null))
    try checkDecoder(self.root["decoder"] ?? .null)
  }

  private func checkModel() throws(TokenizerError) {
    let modelType = model["type"]?.textValue ?? (model["merges"] == nil ? "absent" : "BPE")
    try require(modelType == "BPE", "the model is \(modelType)")
    for option in ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] {
      let value = model[option] ?? .null
      try require(value == .null || value == .text("") || value == .number(0), "the model has a \(option)")
    }
    try require([nil, .null, .bool(false)].contains(model["byte_fallback"]), "the model sets byte_fallback")
  }

  /// Whether a normaliser is form C; false if it does nothing.
  private func composes(_ normalizer: JSONValue) throws(TokenizerError) -> Bool {
    if normalizer == .null { return false }
    let type = normalizer.objectValue?["type"]?.textValue ?? normalizer.kind
    if type == "NFC" { return true }
    guard type == "Sequence", let parts = normalizer.objectValue?["normalizers"]?.listValue else {
      throw fault("the normaliser is \(type)")
    }
    var composes = false
    for part in parts where try self.composes(part) { composes = true }
    return composes
  }

  /// The pre-tokenizers in order, without sequences around them.
  private func steps(_ value: JSONValue) throws(TokenizerError) -> [[String: JSONValue]] {
    let members = value.objectValue ?? [:]
    guard members["type"]?.textValue == "Sequence" else { return [members] }
    guard let parts = members["pretokenizers"]?.listValue else {
      throw fault("the pre-tokenizer is Sequence, but has no list 'pretokenizers'")
    }
    var steps: [[String: JSONValue]] = []
    for part in parts { steps += try self.steps(part) }
    return steps
  }

  private func division(of steps: [[String: JSONValue]]) throws(TokenizerError) -> WordDivision {
    let types = steps.map { $0["type"]?.textValue ?? "absent" }
    let last = steps.last ?? [:]
    try require(types.last == "ByteLevel", "the pre-tokenizer is \(types.joined(separator: ", then "))")
    try require(
      [nil, .null, .bool(false)].contains(last["add_prefix_space"]), "the pre-tokenizer adds a space in front")
    let divides = [nil, .null, .bool(true)].contains(last["use_regex"])
    switch types.dropLast() {
    case []:
      try require(divides, "the pre-tokenizer does not divide into words")
      return .gpt2
    case ["Digits"] where divides:
      try require(steps[0]["individual_digits"] == .bool(true), "the pre-tokenizer Digits does not part single digits")
      return .digits
    case ["Split"] where !divides: return try division(split: steps[0])
    default:
      throw fault(
        "the pre-tokenizer is \(types.joined(separator: ", then ")) with use_regex \(divides)")
    }
  }

  /// The division of a `Split`, whose matches must be the words: the patterns match every character, so removing the
  /// text between matches removes nothing.
  private func division(split: [String: JSONValue]) throws(TokenizerError) -> WordDivision {
    let members = split["pattern"]?.objectValue ?? [:]
    guard let pattern = members["Regex"]?.textValue else {
      throw fault("the pre-tokenizer Split has \(members["String"] == nil ? "no pattern" : "a String, not a Regex")")
    }
    guard let division = WordDivision.patterns[pattern] else {
      let shown = pattern.unicodeScalars.map { $0.value < 0x20 ? "\\u{\(String($0.value, radix: 16))}" : String($0) }
      throw fault("the pre-tokenizer Split has the unknown pattern \(shown.joined())")
    }
    let behavior = split["behavior"]?.textValue ?? "absent"
    let isInverted = split["invert"]?.boolValue ?? false
    try require(
      (behavior == "Isolated" && !isInverted) || (behavior == "Removed" && isInverted),
      "the pre-tokenizer Split has the behavior \(behavior) with invert \(isInverted)")
    return division
  }

  private func checkDecoder(_ decoder: JSONValue) throws(TokenizerError) {
    if decoder == .null { return }
    let type = decoder.objectValue?["type"]?.textValue ?? decoder.kind
    if type == "Sequence", let parts = decoder.objectValue?["decoders"]?.listValue {
      for part in parts { try checkDecoder(part) }
      return
    }
    try require(type == "ByteLevel", "the decoder is \(type)")
  }

  /// The added tokens of the file, of which those named in `special` are special whatever the file says.
  func addedTokens(special: Set<String>) throws(TokenizerError) -> [AddedToken] {
    var tokens: [AddedToken] = []
    var contents: Set<String> = []
    for entry in root["added_tokens"]?.listValue ?? [] {
      guard let members = entry.objectValue, let content = members["content"]?.textValue, !content.isEmpty,
        let integer = members["id"]?.integerValue, let id = Int32(exactly: integer), id >= 0
      else { throw fault("an entry of added_tokens has no content or no id") }
      let isSpecial = members["special"]?.boolValue ?? false
      try require(contents.insert(content).inserted, "the added token '\(content)' appears twice")
      if let other = model["vocab"]?.objectValue?[content], other != .integer(integer) {
        throw fault("the added token '\(content)' has the id \(id), but another in model.vocab")
      }
      tokens.append(
        AddedToken(
          id: id, content: content, isSpecial: isSpecial || special.contains(content),
          isNormalized: members["normalized"]?.boolValue ?? !isSpecial,
          isSingleWord: members["single_word"]?.boolValue ?? false,
          takesSpaceOnLeft: members["lstrip"]?.boolValue ?? false,
          takesSpaceOnRight: members["rstrip"]?.boolValue ?? false))
    }
    return tokens
  }

  func vocabulary(added: [AddedToken], endTokenText: String) throws(TokenizerError) -> BytePairVocabulary {
    guard let vocabulary = model["vocab"]?.objectValue else { throw fault("model.vocab is missing or not an object") }
    guard let merges = model["merges"]?.listValue else { throw fault("model.merges is missing or not a list") }
    var pairs: [MergePair] = []
    for (rank, merge) in merges.enumerated() {
      guard let pair = Self.pair(merge) else { throw fault("merge \(rank) is not two byte symbols") }
      pairs.append(pair)
    }
    let read = try BytePairVocabulary(
      members: vocabulary, added: added, endTokenText: endTokenText, pairs: pairs,
      ignoresMerges: model["ignore_merges"]?.boolValue ?? false, file: file)
    if let unknown = model["unk_token"]?.textValue, let byte = read.byteIds.firstIndex(of: MergeWorkspace.noToken) {
      throw fault("the model writes the token '\(unknown)' for byte \(byte), which has no token")
    }
    return read
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
      remedy: "use a byte-level BPE tokenizer.json like those of GPT-2, GPT-4, Llama-3, Qwen or SmolLM")
  }
}
