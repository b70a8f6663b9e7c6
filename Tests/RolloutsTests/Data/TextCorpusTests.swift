import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Text corpus")
struct TextCorpusTests {
  @Test("Plain text is cut at a line break, and nothing is lost")
  func plainText() throws {
    let folder = try TemporaryFolder()
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

  @Test("A text without line breaks is cut between code points")
  func withoutLineBreaks() throws {
    let folder = try TemporaryFolder()
    for count in 10..<30 {
      let text = String(repeating: "日", count: count)
      let corpus = try TextCorpus(contentsOf: folder.write(text, to: "book.txt"), heldOutShare: 0.5)
      #expect(corpus.train[0] + corpus.heldOut[0] == text)
    }
  }

  @Test("Each document of JSON Lines goes to one part, and repetitions to the same part")
  func jsonLines() throws {
    let folder = try TemporaryFolder()
    let text = (0..<400).map { "{\"text\": \"document \($0 % 200)\", \"source\": 1}\n" }.joined()
    let corpus = try TextCorpus(contentsOf: folder.write(text, to: "text.jsonl"), heldOutShare: 0.25)
    #expect(corpus.train.count + corpus.heldOut.count == 400)
    #expect(Set(corpus.train).isDisjoint(with: corpus.heldOut))
    #expect((60...140).contains(corpus.heldOut.count))
  }

  @Test("Errors name file and line")
  func faults() throws {
    let folder = try TemporaryFolder()
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
