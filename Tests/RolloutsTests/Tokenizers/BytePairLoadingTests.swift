import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Loading byte-pair tokenizers")
struct BytePairLoadingTests {
  /// GPT-2's notation of bytes, independent of the tested code.
  private static let symbols: [String] = {
    var symbols = [String](repeating: "", count: 256)
    var next: UInt32 = 0x100
    for byte in UInt32(0)..<256 {
      let isPrintable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
      let scalar = Unicode.Scalar(isPrintable ? byte : next)
      symbols[Int(byte)] = scalar.map { String(Character($0)) } ?? ""
      if !isPrintable { next += 1 }
    }
    return symbols
  }()

  /// A vocabulary of the bytes, "ab", "abc" and an end token.
  private static var vocabulary: [String: Any] {
    var members: [String: Any] = [:]
    for (id, symbol) in symbols.enumerated() { members[symbol] = id }
    members["ab"] = 256
    members["abc"] = 257
    members["<|endoftext|>"] = 258
    return members
  }

  private static func tokenizerFile(_ change: (inout [String: Any]) -> Void = { _ in }) throws -> Data {
    var root: [String: Any] = [
      "model": ["type": "BPE", "vocab": vocabulary, "merges": [["a", "b"], ["ab", "c"]]],
      "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false],
      "added_tokens": [["id": 258, "content": "<|endoftext|>", "special": true]],
    ]
    change(&root)
    return try JSONSerialization.data(withJSONObject: root)
  }

  @Test("The files vocab.json with merges.txt, and tokenizer.json, give the ids in them")
  func loads() throws {
    let folder = try TemporaryFolder()
    let vocabulary = try folder.write(JSONSerialization.data(withJSONObject: Self.vocabulary), to: "vocab.json")
    let merges = try folder.write(Data("#version: 0.2\na b\nab c\n".utf8), to: "merges.txt")
    let whole = try folder.write(Self.tokenizerFile(), to: "tokenizer.json")
    for tokenizer in [
      try BytePairTokenizer(vocabulary: vocabulary, merges: merges), try BytePairTokenizer(tokenizer: whole),
    ] {
      #expect(tokenizer.vocabularySize == 259)
      #expect(tokenizer.endToken == 258)
      #expect(tokenizer.encode("abcab ba") == [257, 256, 32, 98, 97])
      #expect(tokenizer.decode([257, 256, 258]) == "abcab")
    }
  }

  @Test("An error names a malformed merges file and its line")
  func malformedMerges() throws {
    let folder = try TemporaryFolder()
    let vocabulary = try folder.write(JSONSerialization.data(withJSONObject: Self.vocabulary), to: "vocab.json")
    for (text, line) in [("a b\nab\n", 2), ("#version: 0.2\na b\nq r\n", 3), ("a b\na b\n", 2)] {
      let merges = try folder.write(Data(text.utf8), to: "merges.txt")
      let error = #expect(throws: TokenizerError.self) {
        try BytePairTokenizer(vocabulary: vocabulary, merges: merges)
      }
      #expect(error?.line == line, "\(text)")
    }
    let error = #expect(throws: TokenizerError.self) {
      try BytePairTokenizer(vocabulary: vocabulary, merges: folder.url("absent.txt"))
    }
    #expect(error?.description.contains("absent.txt: no such file") == true)
  }

  @Test("A tokenizer.json that would give other ids is refused with the reason")
  func foreignTokenizers() throws {
    let changes: [(String, (inout [String: Any]) -> Void)] = [
      ("the model is Unigram", { $0["model"] = ["type": "Unigram"] }),
      ("the pre-tokenizer is Sequence", { $0["pre_tokenizer"] = ["type": "Sequence"] }),
      ("there is a normaliser", { $0["normalizer"] = ["type": "NFC"] }),
      ("adds a space", { $0["pre_tokenizer"] = ["type": "ByteLevel", "add_prefix_space": true] }),
      ("is above the", { $0["added_tokens"] = [["id": 2_000_000_000, "content": "<|end|>", "special": true]] }),
      (
        "'<think>' (id 259) is not special",
        { $0["added_tokens"] = [["id": 259, "content": "<think>", "special": false]] }
      ),
      ("'    ' (id 259) is not special", { $0["added_tokens"] = [["id": 259, "content": "    "]] }),
      (
        "'<a>' appears twice",
        {
          $0["added_tokens"] = [259, 260].map { ["id": $0, "content": "<a>", "special": true] as [String: Any] }
        }
      ),
      (
        "'<|endoftext|>' has the id 259, but another in model.vocab",
        { $0["added_tokens"] = [["id": 259, "content": "<|endoftext|>", "special": true]] }
      ),
      ("'<a>' has the id 97 of token", { $0["added_tokens"] = [["id": 97, "content": "<a>", "special": true]] }),
      (
        "has no token",
        {
          $0["added_tokens"] = [Any]()
          $0["model"] = ["type": "BPE", "vocab": ["a": 0, "<|endoftext|>": 1], "merges": [String]()]
        }
      ),
    ]
    let folder = try TemporaryFolder()
    for (reason, change) in changes {
      let url = try folder.write(Self.tokenizerFile(change), to: "tokenizer.json")
      let error = #expect(throws: TokenizerError.self) { try BytePairTokenizer(tokenizer: url) }
      #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
    }
    let url = try folder.write(Self.tokenizerFile().prefix(100), to: "tokenizer.json")
    #expect(throws: TokenizerError.self) { try BytePairTokenizer(tokenizer: url) }
    #expect(throws: TokenizerError.self) { try BytePairTokenizer(tokenizer: url, endToken: "<|absent|>") }
  }
}
