/// Byte-level byte-pair encoding with GPT-2's division into words.
///
/// A text is cut into words (`WordScanner`), each word into bytes, and neighbouring symbols are merged by rank until no
/// merge applies. The end token is never produced from text: `<|endoftext|>` in a text is encoded as its characters.
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

  /// GPT-2's tokenizer from the merges in this package: 50,257 tokens, `<|endoftext|>` = 50256.
  public static func gpt2() throws(TokenizerError) -> BytePairTokenizer {
    let merges = try PackageResource.text(named: "gpt2-merges.txt")
    return BytePairTokenizer(vocabulary: try BytePairVocabulary(merges: merges, file: "gpt2-merges.txt"))
  }

  init(vocabulary: BytePairVocabulary) {
    self.vocabulary = vocabulary
    vocabularySize = vocabulary.size
    endToken = vocabulary.endToken
  }

  public func encode(bytes: [UInt8]) -> [Int32] {
    precondition(bytes.count <= Int(Int32.max), "a text of \(bytes.count) bytes is above 2³¹ − 1; encode it in parts")
    var output: [Int32] = []
    output.reserveCapacity(bytes.count / 3 + 1)
    var workspace = MergeWorkspace(merges: vocabulary.merges, byteIds: vocabulary.byteIds)
    var cache = WordCache()
    bytes.withUnsafeBufferPointer { text in
      let scanner = WordScanner(bytes: text)
      var start = 0
      while start < text.count {
        let word = start..<scanner.wordEnd(from: start)
        start = word.upperBound
        let outputStart = output.count
        guard word.count <= WordCache.maximumWordLength else {
          workspace.encode(UnsafeBufferPointer(rebasing: text[word]), into: &output)
          continue
        }
        let (slot, known) = cache.find(word, in: text)
        if let known {
          for position in known { output.append(output[position]) }
        } else {
          workspace.encode(UnsafeBufferPointer(rebasing: text[word]), into: &output)
          cache.insert(word, ids: outputStart..<output.count, slot: slot, in: text)
        }
      }
    }
    return output
  }

  public func decodeBytes(_ ids: [Int32]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(4 * ids.count)
    for id in ids { bytes.append(contentsOf: vocabulary.bytes(of: id) ?? replacementBytes[...]) }
    return bytes
  }
}
