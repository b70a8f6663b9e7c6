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

  private static let qwen =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  private static func sequence(_ first: [String: Any]) -> [String: Any] {
    let last: [String: Any] = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false]
    return ["type": "Sequence", "pretokenizers": [first, last]]
  }

  private static func split(_ pattern: String, behavior: String = "Isolated") -> [String: Any] {
    sequence(["type": "Split", "pattern": ["Regex": pattern], "behavior": behavior, "invert": false])
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
      ("the pre-tokenizer is Sequence, but", { $0["pre_tokenizer"] = ["type": "Sequence"] }),
      ("the pre-tokenizer is Metaspace", { $0["pre_tokenizer"] = ["type": "Metaspace"] }),
      (
        "the pre-tokenizer is Digits, then ByteLevel with use_regex false",
        {
          $0["pre_tokenizer"] = Self.sequence(
            ["type": "Digits", "individual_digits": true])
        }
      ),
      ("Split has the unknown pattern \\d+|\\D+", { $0["pre_tokenizer"] = Self.split(#"\d+|\D+"#) }),
      (
        "Split has the behavior MergedWithNext",
        { $0["pre_tokenizer"] = Self.split(Self.qwen, behavior: "MergedWithNext") }
      ),
      (
        "Split has the behavior Removed with invert false",
        { $0["pre_tokenizer"] = Self.split(Self.qwen, behavior: "Removed") }
      ),
      ("Split has a String", { $0["pre_tokenizer"] = Self.sequence(["type": "Split", "pattern": ["String": " "]]) }),
      ("the normaliser is NFKC", { $0["normalizer"] = ["type": "NFKC"] }),
      (
        "the normaliser is Lowercase",
        {
          $0["normalizer"] =
            [
              "type": "Sequence", "normalizers": [["type": "NFC"], ["type": "Lowercase"]],
            ] as [String: Any]
        }
      ),
      ("the decoder is WordPiece", { $0["decoder"] = ["type": "WordPiece"] }),
      (
        "the model sets byte_fallback",
        {
          $0["model"] =
            [
              "type": "BPE", "vocab": Self.vocabulary, "merges": [String](), "byte_fallback": true,
            ] as [String: Any]
        }
      ),
      ("the model is WordPiece", { $0["model"] = ["type": "WordPiece"] }),
      ("adds a space", { $0["pre_tokenizer"] = ["type": "ByteLevel", "add_prefix_space": true] }),
      ("is above the", { $0["added_tokens"] = [["id": 2_000_000_000, "content": "<|end|>", "special": true]] }),
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

  private static func load(
    controls: Set<String> = [], _ change: (inout [String: Any]) -> Void
  ) throws -> BytePairTokenizer {
    let folder = try TemporaryFolder()
    return try BytePairTokenizer(tokenizer: folder.write(tokenizerFile(change), to: "t.json"), controls: controls)
  }

  @Test("Added tokens are found in text and decoded to it; special ones are neither")
  func addedTokens() throws {
    let change = { (root: inout [String: Any]) in
      root["added_tokens"] = [
        ["id": 258, "content": "<|endoftext|>", "special": true], ["id": 259, "content": "</think>", "special": false],
        ["id": 260, "content": "    "], ["id": 261, "content": "<|x|>", "special": true],
        ["id": 262, "content": "世", "special": false],
      ]
    }
    let tokenizer = try Self.load(change)
    #expect(tokenizer.vocabularySize == 263)
    #expect(tokenizer.encode("ab</think>ab") == [256, 259, 256])
    #expect(tokenizer.encode("a    b") == [97, 260, 98])
    #expect(tokenizer.decode([256, 259, 260, 261, 262]) == "ab</think>    世")
    #expect(tokenizer.encode("<|x|>") == Array("<|x|>".utf8).map { Int32($0) })
    #expect(tokenizer.specialTokens == ["<|endoftext|>": 258, "<|x|>": 261])
    let controlled = try Self.load(controls: ["</think>"], change)
    #expect(controlled.encode("</think>") == Array("</think>".utf8).map { Int32($0) })
    #expect(controlled.decode([259]) == "")
    #expect(controlled.specialTokens["</think>"] == 259)
  }

  @Test("Ids that no token has decode to U+FFFD")
  func unusedIDs() throws {
    let tokenizer = try Self.load {
      $0["added_tokens"] = [
        ["id": 258, "content": "<|endoftext|>", "special": true], ["id": 270, "content": "<x>"],
      ]
    }
    #expect(tokenizer.vocabularySize == 271)
    #expect(tokenizer.encode("a<x>") == [97, 270])
    #expect(tokenizer.decode([265, 270, 271]) == "\u{FFFD}<x>\u{FFFD}")
  }

  @Test("With ignore_merges a word that is a token is that token, whatever the merges are")
  func ignoredMerges() throws {
    let change = { (ignores: Bool) in
      { (root: inout [String: Any]) in
        root["model"] =
          [
            "type": "BPE", "vocab": Self.vocabulary, "merges": [["a", "b"]], "ignore_merges": ignores,
          ] as [String: Any]
      }
    }
    #expect(try Self.load(change(false)).encode("abc") == [256, 99])
    #expect(try Self.load(change(true)).encode("abc") == [257])
    #expect(try Self.load(change(true)).encode("abcab") == [256, 99, 256])
  }

  @Test("A byte without a token is left out of ids, if texts hardly contain it; others must have a token")
  func missingBytes() throws {
    let without = { (byte: Int, unknown: String?) in
      { (root: inout [String: Any]) in
        var vocabulary = Self.vocabulary
        vocabulary[Self.symbols[byte]] = nil
        vocabulary["abab"] = byte
        root["model"] =
          [
            "type": "BPE", "vocab": vocabulary, "merges": [["a", "b"], ["ab", "c"]], "unk_token": unknown as Any,
          ] as [String: Any]
      }
    }
    #expect(try Self.load(without(1, nil)).encode("a\u{1}bc") == [97, 98, 99])
    let needed = #expect(throws: TokenizerError.self) { try Self.load(without(0x80, nil)) }
    #expect(needed?.problem == "byte 128 has no token")
    let unknown = #expect(throws: TokenizerError.self) { try Self.load(without(1, "<|endoftext|>")) }
    #expect(unknown?.problem.contains("'<|endoftext|>' for byte 1") == true)
  }
}
