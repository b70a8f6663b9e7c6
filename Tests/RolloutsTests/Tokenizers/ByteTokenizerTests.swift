import Rollouts
import Testing

@Suite("Byte tokenizer")
struct ByteTokenizerTests {
  private let tokenizer = ByteTokenizer()

  @Test("Ids are the bytes, and every byte is decoded")
  func bytes() {
    let bytes = Array(UInt8.min...UInt8.max)
    #expect(tokenizer.encode(bytes: bytes) == (0..<256).map { Int32($0) })
    #expect(tokenizer.decodeBytes(tokenizer.encode(bytes: bytes)) == bytes)
    #expect(tokenizer.encode("é") == [0xC3, 0xA9])
  }

  @Test("End, begin and pad decode to nothing, an id outside the vocabulary to U+FFFD")
  func special() {
    #expect(tokenizer.vocabularySize == 259)
    #expect(tokenizer.decode([72, 105, 256, 257, 258]) == "Hi")
    #expect(tokenizer.decode([259]) == "\u{FFFD}")
    #expect(tokenizer.decode([-1]) == "\u{FFFD}")
  }
}
