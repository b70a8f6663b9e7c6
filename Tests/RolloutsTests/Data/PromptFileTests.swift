import Foundation
import Rollouts
import TestSupport
import Testing

@Suite("Prompt files")
struct PromptFileTests {
  @Test("Prompts keep their order, their line and their other members")
  func prompts() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(
      "\u{FEFF}{\"prompt\": \"1+1=\", \"answer\": \"2\", \"level\": 3, \"tags\": [\"a\"]}\r\n\n{\"prompt\":\"é\",\"answer\":\"\"}",
      to: "data.jsonl")
    let prompts = try PromptFile.prompts(at: url)
    #expect(prompts.map(\.text) == ["1+1=", "é"])
    #expect(prompts.map(\.answer) == ["2", ""])
    #expect(prompts.map(\.id) == [0, 1])
    #expect(prompts[0].fields == ["level": .integer(3), "tags": .list([.text("a")])])
    #expect(prompts[1].origin.hasSuffix("data.jsonl:3"))
  }

  @Test("An error names file, line and remedy")
  func faults() throws {
    let good = Data("{\"prompt\": \"a\", \"answer\": \"b\"}\n".utf8)
    let cases: [(Data, Int?, String)] = [
      (good + Data("{\"prompt\": \"a\", \"answer\"".utf8), 2, "not JSON"),
      (good + Data("{\"answer\": \"b\"}".utf8), 2, "'prompt' is missing"),
      (good + Data("{\"prompt\": \"a\"}".utf8), 2, "'answer' is missing"),
      (good + Data("{\"prompt\": 1, \"answer\": \"b\"}".utf8), 2, "'prompt' is a number"),
      (good + Data("{\"prompt\": \"a\", \"answer\": [\"b\"]}".utf8), 2, "'answer' is a list"),
      (good + Data("{\"prompt\": \"\", \"answer\": \"b\"}".utf8), 2, "'prompt' is empty"),
      (good + Data("[1]".utf8), 2, "expected an object, found a list"),
      (good + good + Data([0x22, 0xFF, 0x22]), 3, "not valid UTF-8"),
      (Data(), nil, "the file is empty"),
      (Data(" \n\n".utf8), nil, "only blank lines"),
    ]
    let folder = try TemporaryFolder()
    for (content, line, problem) in cases {
      let url = try folder.write(content, to: "data.jsonl")
      let error = #expect(throws: DataError.self) { try PromptFile.prompts(at: url) }
      #expect(error?.line == line, "\(problem)")
      #expect(error?.description.contains(problem) == true, "\(String(describing: error))")
    }
    let absent = #expect(throws: DataError.self) { try PromptFile.prompts(at: folder.url("absent.jsonl")) }
    #expect(absent?.problem == "no such file")
    let directory = #expect(throws: DataError.self) { try PromptFile.prompts(at: folder.url("")) }
    #expect(directory?.problem == "a directory")
  }

  @Test("An answer may be absent if none is required")
  func withoutAnswer() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write("{\"prompt\": \"a\"}\n", to: "data.jsonl")
    #expect(try PromptFile.prompts(at: url, requiresAnswer: false).map(\.answer) == [""])
  }
}
