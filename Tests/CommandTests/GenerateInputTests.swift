import Foundation
import TestSupport
import Testing

@Suite("Prompts of generate", .serialized)
struct GenerateInputTests {
  private func generate(_ arguments: [String]) throws -> Program.Outcome {
    try Program.execute([Program.path, "generate"] + GenerateTests.source + arguments)
  }

  private func completions(_ output: String) throws -> [(tokens: [Int], finish: String)] {
    try output.split(separator: "\n").map { line in
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      let completion = try #require((object["completions"] as? [[String: Any]])?.first)
      return (try #require(completion["tokens"] as? [Int]), completion["finish"] as? String ?? "")
    }
  }

  /// The model's maximum number of tokens, from the error for a longer prompt.
  private func positions() throws -> Int {
    let outcome = try generate([String(repeating: "1 ", count: 9000), "--token-ids"])
    return try #require(outcome.errors.firstMatch(of: /maximum of (\d+)/).flatMap { Int($0.1) })
  }

  @Test("A long prompt in a batch does not shorten the completions of the others")
  func room() throws {
    let maximum = try positions()
    let folder = try TemporaryFolder()
    let long = [String](repeating: "1", count: maximum - 3).joined(separator: " ")
    let input = try folder.write("in.jsonl", Data("{\"prompt\": \"5\"}\n{\"prompt\": \"\(long)\"}\n".utf8))
    let batch = try generate(["--batch", input, "--token-ids"])
    #expect(batch.status == 0, "\(batch.errors)")
    let alone = try generate(["5", "--token-ids", "--json"])
    let together = try completions(batch.output)
    let single = try completions(alone.output)
    #expect(together[0].tokens == single[0].tokens && together[0].tokens.count == min(128, maximum - 1))
    #expect(together[1].tokens.count == 3 && together[1].finish == "length")
  }

  @Test("An invalid line of a batch is reported before any completion, with the number of other invalid lines")
  func badLine() throws {
    let folder = try TemporaryFolder()
    let long = String(repeating: "1 ", count: 9000)
    let lines = "{\"prompt\": \"5\"}\n\n{\"prompt\": \"\(long)\"}\n{\"prompt\": \"x\"}\n"
    let input = try folder.write("in.jsonl", Data(lines.utf8))
    let outcome = try generate(["--batch", input, "--token-ids"])
    #expect(outcome.status == 3 && outcome.output.isEmpty && outcome.messages.count == 1)
    #expect(
      outcome.errors.contains("in.jsonl:3: the prompt of 9,000 tokens") && outcome.errors.contains("(1 more line has "))
  }

  @Test("The last line break of a file or of standard input is not part of the prompt")
  func lineBreak() throws {
    let folder = try TemporaryFolder()
    let whole = try generate(["1 2 3", "--token-ids", "--json", "--max-tokens", "4"]).output
    for (name, content) in [("unix", "1 2 3\n"), ("windows", "1 2 3\r\n")] {
      let file = try folder.write(name, Data(content.utf8))
      #expect(try generate(["--file", file, "--token-ids", "--json", "--max-tokens", "4"]).output == whole)
    }
    let piped = try Program.execute(
      ["/bin/sh", "-c", "echo '1 2 3' | \"$0\" \"$@\"", Program.path, "generate"] + GenerateTests.source + [
        "--token-ids", "--json", "--max-tokens", "4",
      ])
    #expect(piped.output == whole)
  }

  @Test("With token ids, the end token ends a completion")
  func endToken() throws {
    let greedy = try completions(
      generate(["1 2 3", "--token-ids", "--json", "--max-tokens", "12", "--temperature", "0"]).output)[0]
    #expect(greedy.tokens.count == 12 && greedy.finish == "length")
    let end = greedy.tokens[5]
    let index = try #require(greedy.tokens.firstIndex(of: end))
    let ended = try completions(
      generate([
        "1 2 3", "--token-ids", "--json", "--max-tokens", "12", "--temperature", "0", "--end-token", "\(end)",
      ]).output)[0]
    #expect(ended.tokens == Array(greedy.tokens[...index]) && ended.finish == "end")
    #expect(try generate(["1", "--token-ids", "--end-token", "x"]).status == 2)
  }
}
