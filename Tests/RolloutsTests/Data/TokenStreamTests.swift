import Rollouts
import Testing

@Suite("Token stream")
struct TokenStreamTests {
  private static let text = String((0..<1000).map { Character(Unicode.Scalar(UInt8(32 + $0 % 90))) })

  @Test("Documents are separated by end tokens")
  func stream() {
    let stream = TokenStream(documents: ["ab", "é"], tokenizer: ByteTokenizer())
    #expect(stream.tokens == [256, 97, 98, 256, 0xC3, 0xA9, 256])
    #expect(stream.byteCount == 4)
    #expect(TokenStream.bitsPerByte(negativeLogLikelihood: 4, bytes: stream.byteCount) == 4 / 0.6931471805599453 / 4)
  }

  @Test("Consecutive windows predict every token after the first once", arguments: [2, 3, 17, 1001, 1002, 5000])
  func consecutive(length: Int) {
    let stream = TokenStream(documents: [Self.text], tokenizer: ByteTokenizer())
    let windows = stream.consecutiveWindows(length: length)
    #expect(windows.flatMap { $0.dropFirst() } == Array(stream.tokens.dropFirst()))
    #expect(windows.allSatisfy { (2...length).contains($0.count) })
  }

  @Test("An epoch's windows predict disjoint tokens; their order depends only on the seed")
  func training() {
    let stream = TokenStream(documents: [Self.text], tokenizer: ByteTokenizer())
    // 1,001 predictions, stride 16, offsets below 16: 61 windows per epoch.
    let length = 17
    let windows = (0..<61).map { number in
      stream.window(seed: 4, step: number, sequence: 0, sequencesPerStep: 1, length: length)
    }
    #expect(windows.allSatisfy { $0.count == length })
    #expect(Set(windows.map(\.startIndex)).count == 61)
    #expect(Set(windows.map { $0.startIndex % 16 }).count == 1)
    for number in 0..<60 {
      let same = stream.window(
        seed: 4, step: number / 4, sequence: number % 4, sequencesPerStep: 4, length: length)
      #expect(same.indices == windows[number].indices)
    }
    let next = (61..<122).map {
      stream.window(seed: 4, step: $0, sequence: 0, sequencesPerStep: 1, length: length).startIndex
    }
    #expect(next != windows.map(\.startIndex))
    #expect(next.allSatisfy { $0 >= 0 && $0 + length <= stream.tokens.count })
  }

  @Test("Streams near a window's length give windows inside the stream", arguments: 1...40)
  func short(count: Int) {
    let stream = TokenStream(documents: [String(repeating: "a", count: count)], tokenizer: ByteTokenizer())
    for step in 0..<20 {
      let window = stream.window(seed: 1, step: step, sequence: 0, sequencesPerStep: 1, length: 10)
      #expect(window.count == min(10, stream.tokens.count))
    }
  }

  @Test("Without shuffling, windows follow the text from its start in every epoch")
  func unshuffled() {
    let stream = TokenStream(documents: ["abcdefghijklmnopqrstuvwxyz"], tokenizer: ByteTokenizer())
    let windows = (0..<8).map {
      stream.window(seed: 7, step: $0, sequence: 0, sequencesPerStep: 1, length: 7, isShuffled: false).startIndex
    }
    #expect(windows == [0, 6, 12, 18, 0, 6, 12, 18])
  }
}
