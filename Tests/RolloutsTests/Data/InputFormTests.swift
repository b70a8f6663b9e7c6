import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Forms of input files")
struct InputFormTests {
  private static let documents = (0..<40).map { "{\"text\": \"document \($0)\"}\n" }.joined()

  @Test(
    "JSON Lines are recognised by each of their file extensions",
    arguments: ["a.jsonl", "a.ndjson", "a.json", "a.JSONL", "a.jsonlines", "a.jl"])
  func names(name: String) throws {
    let folder = try TemporaryFolder()
    let corpus = try TextCorpus(contentsOf: folder.write(Self.documents, to: name), heldOutShare: 0.2)
    #expect(corpus.train.count + corpus.heldOut.count == 40)
    #expect(corpus.train.allSatisfy { $0.hasPrefix("document ") })
  }

  @Test("A file that is one JSON list is refused with its line, not read as text", arguments: ["a.json", "a.jsonl"])
  func lists(name: String) throws {
    let folder = try TemporaryFolder()
    let list = try folder.write("\n [\n  {\"text\": \"a\", \"prompt\": \"b\", \"answer\": \"c\"}\n]\n", to: name)
    for error in [
      #expect(throws: DataError.self) { try TextCorpus(contentsOf: list) },
      #expect(throws: DataError.self) { try PromptFile.prompts(at: list) },
    ] {
      #expect(error?.line == 2 && error?.problem == "one JSON list, not JSON Lines")
    }
    let object = try folder.write("{\n  \"text\": \"a\"\n}\n", to: name)
    let error = #expect(throws: DataError.self) { try TextCorpus(contentsOf: object) }
    #expect(error?.line == 1 && error?.problem.hasPrefix("not JSON") == true)
  }

  @Test("A byte order mark in front of any line is removed")
  func byteOrderMarks() throws {
    let folder = try TemporaryFolder()
    let line = "\u{FEFF}{\"prompt\": \"a\", \"answer\": \"b\"}\n"
    let prompts = try PromptFile.prompts(at: folder.write(line + line, to: "joined.jsonl"))
    #expect(prompts.map(\.text) == ["a", "a"])
  }

  @Test("A line above the limit is refused with its number before it is read as a whole")
  func longLines() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write("{\"prompt\": \"a\", \"answer\": \"b\"}\n", to: "long.jsonl")
    let handle = try FileHandle(forWritingTo: url)
    try handle.seekToEnd()
    // A hole of a terabyte, which cannot be read into memory.
    try handle.truncate(atOffset: 1 << 40)
    try handle.close()
    let error = #expect(throws: DataError.self) { try PromptFile.prompts(at: url) }
    #expect(error?.line == 2 && error?.problem == "the line is longer than 64 MiB")
  }

  @Test("An observer gets all bytes of a file, including the byte order mark")
  func observer() throws {
    let folder = try TemporaryFolder()
    let content = Data("\u{FEFF}{\"prompt\": \"a\", \"answer\": \"b\"}\n".utf8)
    var seen = Data()
    _ = try PromptFile.prompts(at: folder.write(content, to: "a.jsonl")) { seen = Data($0) }
    #expect(seen == content)
  }
}
