import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Published tokenizers")
struct PublishedTokenizerTests {
  /// Texts with the ids of the `tokenizers` library, from Tests/Tokenizers/cases.py.
  private struct Cases: Decodable {
    let cases: [Case]

    struct Case: Decodable {
      let text: String
      let ids: [Int32]

      init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        text = try list.decode(String.self)
        ids = try list.decode([Int32].self)
      }
    }

    init(_ form: String) throws {
      self = try JSONDecoder().decode(Self.self, from: Fixtures.data("tokenizers/\(form).cases.json"))
    }
  }

  private static let forms = ["gpt2", "cl100k", "o200k", "llama3", "qwen2", "qwen3", "qwen35", "smollm", "flags"]

  private static func tokenizer(_ form: String) throws -> BytePairTokenizer {
    let file = Fixtures.url("tokenizers/\(form).json")
    return try BytePairTokenizer(tokenizer: file, endToken: form == "llama3" ? "<|eot_id|>" : "<|endoftext|>")
  }

  @Test("Texts have the ids of the tokenizers library", arguments: forms)
  func ids(form: String) throws {
    let tokenizer = try Self.tokenizer(form)
    let cases = try Cases(form).cases
    #expect(cases.count >= 500)
    let wrong = cases.filter { tokenizer.encode($0.text) != $0.ids }
    #expect(wrong.isEmpty, "\(wrong.count) of \(cases.count)")
    for example in wrong.prefix(3) {
      #expect(tokenizer.encode(example.text) == example.ids, "\(example.text.debugDescription)")
    }
  }

  @Test("Ids decode to the text, or to its form C if the tokenizer normalises", arguments: forms)
  func roundTrip(form: String) throws {
    let tokenizer = try Self.tokenizer(form)
    let composes = form.hasPrefix("qwen") || form == "flags"
    // White space that an added token takes, and bytes without a token, do not return.
    let loses = { (text: String) in
      (form == "flags"
        && (text.contains("<left>") || text.contains("<right>") || text.contains("<both>")
          || text.lowercased().contains("der")))
        || (form == "smollm" && text.utf8.contains { $0 < 0x20 && !(9...13).contains($0) })
    }
    for example in try Cases(form).cases where !loses(example.text) {
      let decoded = Array(tokenizer.decode(example.ids).utf8)
      let bytes = Array(example.text.utf8)
      #expect(decoded == bytes || (composes && tokenizer.encode(bytes: decoded) == example.ids), "\(example.text)")
      if !composes { #expect(decoded == bytes) }
    }
  }

  @Test("Any bytes are encoded and decoded unchanged, also invalid UTF-8", arguments: forms)
  func anyBytes(form: String) throws {
    let tokenizer = try Self.tokenizer(form)
    var generator = SeededGenerator(5)
    let alphabet = Array(" \n'sS1a!é".utf8) + [0xC3, 0xE2, 0x82, 0xED, 0xA0, 0x99, 0xF0, 0xBF]
    for length in [1, 2, 3, 5, 17, 300] {
      for _ in 0..<20 {
        let bytes = (0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] }
        #expect(tokenizer.decodeBytes(tokenizer.encode(bytes: bytes)) == bytes)
      }
    }
  }

  @Test("A long run of white space, letters or digits is divided in one pass", arguments: forms)
  func longRuns(form: String) throws {
    let tokenizer = try Self.tokenizer(form)
    for unit in [" ", "\n", "a", "1", "é", "ế", "a1", "<", "' "] {
      let text = String(repeating: unit, count: 100_000)
      #expect(tokenizer.decode(tokenizer.encode(text)).utf8.count == text.utf8.count)
    }
  }

  @Test("A character that counts as normalised without a look at its tables is normalised")
  func sureCharacters() {
    for value in UInt32(0)..<0x20000 {
      guard let scalar = Unicode.Scalar(value), CanonicalComposition.isSure(scalar) else { continue }
      let text = String(Character(scalar))
      #expect(Array(text.precomposedStringWithCanonicalMapping.unicodeScalars) == [scalar], "\(value)")
      #expect(scalar.properties.canonicalCombiningClass == .notReordered, "\(value)")
    }
  }

  @Test("Hangul syllables compose with final consonants; marks newer than Unicode 9 are not reordered")
  func composition() {
    func composed(_ text: String) -> String {
      let bytes = Array(text.utf8)
      let result = bytes.withUnsafeBufferPointer { CanonicalComposition.normalized(0..<$0.count, in: $0) }
      return String(decoding: result ?? bytes, as: UTF8.self)
    }
    func scalars(_ text: String) -> [UInt32] { text.unicodeScalars.map(\.value) }
    #expect(scalars(composed("x\u{AC00}\u{11A8}")) == [0x78, 0xAC01])
    #expect(scalars(composed("\u{1100}\u{1161}\u{11A8}")) == [0xAC01])
    #expect(scalars(composed("e\u{301}\u{323}")) == [0x1EB9, 0x301])
    #expect(scalars(composed("я\u{1E133}\u{336}")) == [0x44F, 0x1E133, 0x336])
    #expect(scalars(composed("\u{212B}\u{F900}")) == [0xC5, 0x8C48])
  }
}
