/// Byte-level byte-pair encoding with a published division into words (`WordDivision`).
///
/// Added tokens are found in a text, the text between them is normalised, cut into words (`WordScanner`) and those into
/// bytes, and neighbouring symbols are merged by rank until no merge applies. Special tokens are never produced from
/// text: `<|endoftext|>` in a text is encoded as its characters.
///
/// Measured on one x86-64 core in release: 37 MB/s on English text and code, 9 MB/s on Chinese and Japanese characters at
/// random, 8 MB/s on random bytes, 4 MB/s on one word of two million bytes; loading GPT-2's merges takes 0.1 s.
///
/// Source: Radford et al., Language models are unsupervised multitask learners (2019), and Sennrich et al. (2016).
public struct BytePairTokenizer: Tokenizer {
  public let vocabularySize: Int
  public let endToken: Int32
  public var specialTokens: [String: Int32] { vocabulary.specialTokens }
  private let vocabulary: BytePairVocabulary
  private let division: WordDivision
  private let isComposed: Bool
  /// Of tokens that are found in the text as given, and in the normalised text.
  private let given: AddedTokenMatcher
  private let normalized: AddedTokenMatcher

  /// GPT-2's tokenizer from the merges in this package: 50,257 tokens, `<|endoftext|>` = 50256.
  public static func gpt2() throws(TokenizerError) -> BytePairTokenizer {
    let merges = try PackageResource.text(named: "gpt2-merges.txt")
    return BytePairTokenizer(vocabulary: try BytePairVocabulary(merges: merges, file: "gpt2-merges.txt"))
  }

  /// - Parameters:
  ///   - isComposed: whether texts are normalised to form C.
  ///   - added: the added tokens, special tokens among them.
  init(
    vocabulary: BytePairVocabulary, division: WordDivision = .gpt2, isComposed: Bool = false, added: [AddedToken] = []
  ) {
    self.vocabulary = vocabulary
    self.division = division
    self.isComposed = isComposed
    vocabularySize = vocabulary.size
    endToken = vocabulary.endToken
    let asGiven = added.filter { !$0.isNormalized }
    given = AddedTokenMatcher(asGiven, contents: asGiven.map { Array($0.content.utf8) })
    let inNormalized = added.filter(\.isNormalized)
    normalized = AddedTokenMatcher(
      inNormalized,
      contents: inNormalized.map { token in
        let content = Array(token.content.utf8)
        return isComposed
          ? content.withUnsafeBufferPointer { CanonicalComposition.normalized(0..<$0.count, in: $0) } ?? content
          : content
      })
  }

  public func encode(bytes: [UInt8]) -> [Int32] {
    precondition(bytes.count <= Int(Int32.max), "a text of \(bytes.count) bytes is above 2³¹ − 1; encode it in parts")
    if given.isEmpty, normalized.isEmpty, !isComposed { return encode(bytes, [.text(0..<bytes.count)]) }
    var text = bytes
    var segments = bytes.withUnsafeBufferPointer { given.segments(of: 0..<$0.count, in: $0) }
    if isComposed { (text, segments) = Self.compose(text, segments) }
    if !normalized.isEmpty {
      segments = text.withUnsafeBufferPointer { text in
        segments.flatMap { segment in
          switch segment {
          case .token: [segment]
          case .text(let range): normalized.segments(of: range, in: text)
          }
        }
      }
    }
    return encode(text, segments)
  }

  /// The text with its segments normalised, and their ranges in it.
  private static func compose(
    _ bytes: [UInt8], _ segments: [AddedTokenMatcher.Segment]
  ) -> ([UInt8], [AddedTokenMatcher.Segment]) {
    bytes.withUnsafeBufferPointer { buffer in
      if CanonicalComposition.normalized(0..<buffer.count, in: buffer) == nil { return (bytes, segments) }
      var text: [UInt8] = []
      text.reserveCapacity(bytes.count)
      let moved = segments.map { segment in
        guard case .text(let range) = segment else { return segment }
        let start = text.count
        if let normalized = CanonicalComposition.normalized(range, in: buffer) {
          text += normalized
        } else {
          text += buffer[range]
        }
        return .text(start..<text.count)
      }
      return (text, moved)
    }
  }

  private func encode(_ bytes: [UInt8], _ segments: [AddedTokenMatcher.Segment]) -> [Int32] {
    bytes.withUnsafeBufferPointer { text in
      switch division {
      case .gpt2: encode(text, segments, GPT2Scanner(bytes: text))
      case .digits: encode(text, segments, DigitScanner(bytes: text))
      case .cl100k: encode(text, segments, GPT4Scanner<CL100KRules>(bytes: text))
      case .qwen: encode(text, segments, GPT4Scanner<QwenRules>(bytes: text))
      case .qwenMarks: encode(text, segments, GPT4Scanner<QwenMarkRules>(bytes: text))
      case .o200k: encode(text, segments, GPT4oScanner(bytes: text))
      }
    }
  }

  private func encode(
    _ text: UnsafeBufferPointer<UInt8>, _ segments: [AddedTokenMatcher.Segment], _ scanner: some WordScanner
  ) -> [Int32] {
    var scanner = scanner
    var output: [Int32] = []
    output.reserveCapacity(text.count / 3 + 1)
    var workspace = MergeWorkspace(merges: vocabulary.merges, byteIds: vocabulary.byteIds)
    var cache = WordCache()
    for segment in segments {
      guard case .text(let range) = segment else {
        if case .token(let id) = segment { output.append(id) }
        continue
      }
      var start = range.lowerBound
      while start < range.upperBound {
        let word = start..<scanner.wordEnd(from: start, limit: range.upperBound)
        start = word.upperBound
        let outputStart = output.count
        guard word.count <= WordCache.maximumWordLength else {
          encode(word: UnsafeBufferPointer(rebasing: text[word]), &workspace, into: &output)
          continue
        }
        let (slot, known) = cache.find(word, in: text)
        if let known {
          for position in known { output.append(output[position]) }
        } else {
          encode(word: UnsafeBufferPointer(rebasing: text[word]), &workspace, into: &output)
          cache.insert(word, ids: outputStart..<output.count, slot: slot, in: text)
        }
      }
    }
    return output
  }

  private func encode(
    word: UnsafeBufferPointer<UInt8>, _ workspace: inout MergeWorkspace, into output: inout [Int32]
  ) {
    if !vocabulary.wholeWords.isEmpty, let id = vocabulary.wholeWords[Array(word)] {
      output.append(id)
    } else {
      workspace.encode(word, into: &output)
    }
  }

  public func decodeBytes(_ ids: [Int32]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4 * ids.count)
    for id in ids { bytes.append(contentsOf: vocabulary.bytes(of: id) ?? replacementBytes[...]) }
    return bytes
  }
}
