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

  @Test("A file that is one JSON list gives its objects, each with its line", arguments: ["a.json", "a.jsonl"])
  func lists(name: String) throws {
    let folder = try TemporaryFolder()
    let object = #"{"text": "a\n", "prompt": "b", "answer": "c", "n": 12345678901234567890}"#
    let list = try folder.write("\u{FEFF}\n [\n  \(object),\n\(object)\n]\n", to: name)
    #expect(try TextCorpus(contentsOf: list, heldOutShare: 0).train == ["a\n", "a\n"])
    let prompts = try PromptFile.prompts(at: list)
    #expect(prompts.map(\.origin).map { $0.suffix(2) } == [":3", ":4"])
    #expect(prompts[1].fields["n"] == .literal("12345678901234567890"))
  }

  @Test(
    "A faulty JSON list is reported with the line of the fault",
    arguments: [
      (
        "[\n{\"prompt\": \"a\", \"answer\": \"b\"},\n3]", 3,
        "not a list of JSON objects: expected an object, found a number"
      ),
      ("[\n{\"prompt\": \"a\"\n}]\n", 2, "'answer' is missing"), ("\n[]", 1, "an empty list"),
      ("[{\"prompt\": \"a\", \"answer\": \"b\"}]\n[1]", 2, "not a list of JSON objects"),
      ("[{\"prompt\": \"a\",\n\"answer\" \"b\"}]", 2, "not a list of JSON objects"),
      ("[{\"prompt\": \"a\", \"answer\": \"b\"}", 1, "not a list of JSON objects"),
    ])
  func faultyLists(content: String, line: Int, problem: String) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(content, to: "a.json")
    let error = #expect(throws: DataError.self) { try PromptFile.prompts(at: url) }
    #expect(error?.problem.hasPrefix(problem) == true && error?.line == line, "\(String(describing: error))")
    #expect(error?.status == .data)
  }

  @Test("One JSON object over several lines is refused")
  func objects() throws {
    let folder = try TemporaryFolder()
    let object = try folder.write("{\n  \"text\": \"a\"\n}\n", to: "a.json")
    let error = #expect(throws: DataError.self) { try TextCorpus(contentsOf: object) }
    #expect(error?.line == 1 && error?.problem.hasPrefix("not JSON") == true)
  }

  @Test(
    "Tables and compressed files are refused by name, as prompts and as text",
    arguments: ["a.csv", "a.TSV", "a.parquet", "a.arrow", "a.jsonl.gz", "a.zst"])
  func otherForms(name: String) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write("question,answer\n1,2\n", to: name)
    for error in [
      #expect(throws: DataError.self) { try TextCorpus(contentsOf: url) },
      #expect(throws: DataError.self) { try PromptFile.prompts(at: url) },
    ] {
      #expect(error?.status == .data && error?.remedy?.isEmpty == false)
    }
  }

  @Test("The folder of a saved Hugging Face data set is refused with the command that converts it")
  func savedDataset() throws {
    let folder = try TemporaryFolder()
    try folder.makeFolder("saved")
    try folder.write("{}", to: "saved/dataset_info.json")
    let error = #expect(throws: DataError.self) { try PromptFile.prompts(at: folder.url("saved")) }
    #expect(error?.remedy?.contains("launch/dataset") == true)
  }

  @Test(
    "JSON in a file of plain text is refused, and other text that begins with a bracket is not",
    arguments: [
      (Self.documents, true), ("\n  {\"a\": 1}\nb\n", true), ("[\n {\"text\": \"a\"}\n]\n", true),
      ("{a}\nb\nc\n", false), ("[1] A footnote.\nb\nc\n", false), ("[{x}]\nb\nc\n", false),
    ])
  func plainText(content: String, isRefused: Bool) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(content, to: "book.txt")
    if isRefused {
      let error = #expect(throws: DataError.self) { try TextCorpus(contentsOf: url) }
      #expect(error?.remedy?.hasPrefix("rename the file to .json") == true)
    } else {
      #expect(try TextCorpus(contentsOf: url, heldOutShare: 0).train == [content])
    }
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
