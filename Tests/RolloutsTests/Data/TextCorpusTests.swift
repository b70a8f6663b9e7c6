import Foundation
import Rollouts
import Testing

@Suite struct TextCorpusTests {
  @Test("Plain text is cut at a line break, and nothing is lost")
  func plainText() throws {
    try TemporaryFolder.with { folder in
      let text = (0..<100).map { "line é \($0)\n" }.joined()
      let corpus = try TextCorpus(contentsOf: folder.write(text, to: "book.txt"), heldOutShare: 0.2)
      #expect(corpus.train[0] + corpus.heldOut[0] == text)
      #expect(corpus.train[0].hasSuffix("\n"))
      let share = Double(corpus.heldOut[0].utf8.count) / Double(text.utf8.count)
      #expect((0.18...0.2).contains(share))
      let whole = try TextCorpus(contentsOf: folder.write(text, to: "book.txt"), heldOutShare: 0)
      #expect(whole.train == [text])
      #expect(whole.heldOut.isEmpty)
    }
  }

  @Test("A text without line breaks is cut between characters' code points")
  func withoutLineBreaks() throws {
    try TemporaryFolder.with { folder in
      for count in 10..<30 {
        let text = String(repeating: "日", count: count)
        let corpus = try TextCorpus(contentsOf: folder.write(text, to: "book.txt"), heldOutShare: 0.5)
        #expect(corpus.train[0] + corpus.heldOut[0] == text)
      }
    }
  }

  @Test("Documents of JSON lines go to one part each, repetitions to the same")
  func jsonLines() throws {
    try TemporaryFolder.with { folder in
      let text = (0..<400).map { "{\"text\": \"document \($0 % 200)\", \"source\": 1}\n" }.joined()
      let corpus = try TextCorpus(contentsOf: folder.write(text, to: "text.jsonl"), heldOutShare: 0.25)
      #expect(corpus.train.count + corpus.heldOut.count == 400)
      #expect(Set(corpus.train).isDisjoint(with: corpus.heldOut))
      #expect((60...140).contains(corpus.heldOut.count))
    }
  }

  @Test("Faults name file and line")
  func faults() throws {
    try TemporaryFolder.with { folder in
      let cases: [(String, Data, Int?)] = [
        ("book.txt", Data("a\nb".utf8) + Data([0xFF, 0x0A]), 2), ("text.jsonl", Data("{\"text\": 1}".utf8), 1),
        ("text.jsonl", Data("{\"text\": \"a\"}\n{}".utf8), 2), ("text.jsonl", Data("{\"text\": \"a\"}".utf8), nil),
        ("book.txt", Data(), nil),
      ]
      for (name, content, line) in cases {
        let error = #expect(throws: DataError.self) { try TextCorpus(contentsOf: folder.write(content, to: name)) }
        #expect(error?.line == line, "\(String(describing: error))")
      }
      let url = try folder.write("abc", to: "book.txt")
      #expect(throws: DataError.self) { try TextCorpus(contentsOf: url, heldOutShare: 1) }
    }
  }
}
