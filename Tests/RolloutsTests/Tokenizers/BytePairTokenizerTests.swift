import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Byte-pair tokenizer")
struct BytePairTokenizerTests {
  private struct Golden: Decodable {
    let text: String
    let ids: [Int32]
  }

  private let tokenizer: BytePairTokenizer

  init() throws { tokenizer = try BytePairTokenizer.gpt2() }

  @Test("The golden texts have GPT-2's ids, and decode to themselves")
  func golden() throws {
    let cases = try JSONDecoder().decode([Golden].self, from: Fixtures.data("golden/tokenizer_gpt2.json"))
    #expect(cases.count == 18)
    for golden in cases {
      #expect(tokenizer.encode(golden.text) == golden.ids, "\(golden.text)")
      #expect(Array(tokenizer.decode(golden.ids).utf8) == Array(golden.text.utf8))
    }
    #expect(tokenizer.vocabularySize == 50257)
    #expect(tokenizer.endToken == 50256)
  }

  @Test("Any bytes are encoded and decoded unchanged, also invalid UTF-8")
  func roundTrip() {
    var generator = SeededGenerator(3)
    for length in [0, 1, 2, 3, 7, 31, 64, 257, 4099] {
      for alphabet in [UInt8(255), 127, 0xC3] {
        let bytes = (0..<length).map { _ in UInt8.random(in: 0...alphabet, using: &generator) }
        #expect(tokenizer.decodeBytes(tokenizer.encode(bytes: bytes)) == bytes)
      }
    }
    let truncated = Array("naïve 日本 🙂".utf8)
    for end in 0...truncated.count {
      let bytes = Array(truncated[..<end])
      #expect(tokenizer.decodeBytes(tokenizer.encode(bytes: bytes)) == bytes)
    }
  }

  @Test("Repeated words have the ids of the first in any surroundings")
  func repeatedWords() {
    let words = (0..<500).map { " word\($0 % 37)x\($0 % 11)" }
    let together = tokenizer.encode(words.joined())
    #expect(together == words.flatMap { tokenizer.encode($0) })
  }

  @Test("A word of half a million bytes is encoded and decoded")
  func longRun() {
    let bytes = [UInt8](repeating: UInt8(ascii: "a"), count: 500_000)
    let ids = tokenizer.encode(bytes: bytes)
    #expect(tokenizer.decodeBytes(ids) == bytes)
  }

  @Test("The end token is never produced from text and decodes to nothing")
  func endToken() {
    let ids = tokenizer.encode("<|endoftext|>")
    #expect(!ids.contains(tokenizer.endToken))
    #expect(tokenizer.decode(ids + [tokenizer.endToken]) == "<|endoftext|>")
    #expect(tokenizer.decode([-1, 50257]) == "\u{FFFD}\u{FFFD}")
  }

  @Test("White space, contractions and classes are divided as by GPT-2's pattern")
  func division() {
    // Ids of single tokens show the division: each expected string is one word.
    let cases: [(String, [String])] = [
      ("a  b", ["a", " ", " b"]), ("a\n b", ["a", "\n", " b"]), ("a \n", ["a", " \n"]),
      ("it's", ["it", "'s"]), ("!'s", ["!'", "s"]), ("'S", ["'", "S"]), ("x1y", ["x", "1", "y"]),
      ("\u{3000}x", ["\u{3000}", "x"]), (" \u{A0}", [" \u{A0}"]), ("a\u{85}b", ["a", "\u{85}", "b"]),
    ]
    for (text, words) in cases {
      #expect(tokenizer.encode(text) == words.flatMap { tokenizer.encode($0) }, "\(text)")
    }
  }
}
