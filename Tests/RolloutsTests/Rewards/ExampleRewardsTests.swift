import Formats
import Foundation
import Rollouts
import TestSupport
import Testing

/// The programs in configs/examples/rewards, on tables of completions and scores. They need python3 without packages.
@Suite("Example rewards")
struct ExampleRewardsTests {
  private static let folder = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("configs/examples/rewards")

  /// A completion and the expected score: nil if the reward does not apply.
  private struct Row {
    var prompt = "?"
    var answer = ""
    let completion: String
    var tokens = 1
    var finished = true
    var fields: [String: JSONValue] = [:]
    let expected: RewardOutcome
  }

  private func outcomes(_ command: [String], _ rows: [Row]) throws -> [RewardOutcome] {
    var settings = CommandReward.Settings(command: command)
    settings.batch = 256
    settings.timeout = 60
    let reward = try CommandReward(name: "example", settings: settings) { _ in }
    return try reward.outcomes(
      rows.enumerated().map { index, row in
        RewardItem(
          id: UInt64(index),
          prompt: Prompt(id: Int64(index), text: row.prompt, answer: row.answer, fields: row.fields, origin: "table"),
          completion: row.completion, completionTokens: row.tokens, finished: row.finished)
      })
  }

  /// Runs an example and compares the scores without their metrics.
  private func check(_ program: String, arguments: [String] = [], _ rows: [Row]) throws {
    let command = ["python3", Self.folder.appendingPathComponent(program).path] + arguments
    try compare(try outcomes(command, rows), rows)
  }

  private func compare(_ outcomes: [RewardOutcome], _ rows: [Row]) throws {
    for (outcome, row) in zip(outcomes, rows) {
      switch (outcome, row.expected) {
      case (.scored(let found, _), .scored(let expected, _)):
        #expect(abs(found - expected) < 1e-9, "\(row.completion) (answer \(row.answer)): \(found)")
      default: #expect(outcome == row.expected, "\(row.completion) (answer \(row.answer))")
      }
    }
    #expect(outcomes.count == rows.count)
  }

  private func row(_ completion: String, _ score: Double, tokens: Int = 1, finished: Bool = true, answer: String = "7")
    -> Row
  {
    Row(
      answer: answer, completion: completion, tokens: tokens, finished: finished, expected: .scored(score, metrics: [:])
    )
  }

  @Test("mathematics.py compares the final answers of the table by its own rules")
  func mathematics() throws {
    let rows = try Fixtures.text("rewards/mathematics.jsonl").split(separator: "\n").map { line in
      let members = try #require(try JSONValue.parse(line.utf8).objectValue)
      return Row(
        answer: try #require(members["answer"]?.textValue), completion: try #require(members["completion"]?.textValue),
        expected: members["reward"]?.numberValue.map { .scored($0, metrics: [:]) } ?? .notApplicable)
    }
    #expect(rows.count > 80)
    try check("mathematics.py", arguments: ["--own-rules"], rows)
  }

  @Test("think_format.py asks for one pair of tags at the beginning")
  func thinkFormat() throws {
    let rows = [
      row("<think>a\nb</think>7", 1), row("<think>a</think>", 1), row("<think></think>7", 1), row("7", 0),
      row(" <think>a</think>7", 0), row("<think>a<think>b</think>7", 0), row("<think>a</think>b</think>7", 0),
      row("<think>a", 0), row("a</think>7", 0), row("", 0), row("</think><think>", 0),
    ]
    try check("think_format.py", rows)
    try check("think_format.py", arguments: ["--answer"], [row("<think>a</think> \n", 0), row("<think>a</think>7", 1)])
    try check(
      "think_format.py", arguments: ["--opened"], [row("a</think>7", 1), row("<think>a</think>7", 0), row("a", 0)])
  }

  @Test("repetition.py takes the share of repeated n-grams, of words or of characters")
  func repetition() throws {
    // 2-grams: a b, b a, a b, b a: 2 of 4 differ.
    let rows = [
      row("a b a b a", -1), row("a b c d", 0), row("a", 0), row("", 0), row("A a a a", -4.0 / 3),
      row("x x x x x", -1.5),
    ]
    try check("repetition.py", arguments: ["--size", "2", "--penalty", "-2"], rows)
    try check("repetition.py", arguments: ["--size", "1", "--characters"], [row("abab", -0.5), row("abcd", 0)])
  }

  @Test("cosine_length.py follows the cosine from short to long, for right and wrong answers")
  func cosineLength() throws {
    let right = "\\boxed{7}"
    let rows = [
      row(right, 0.75, tokens: 50), row(right, 1, tokens: 0), row(right, 0.5, tokens: 100),
      row(right, 0.5, tokens: 300),
      row("8", -0.75, tokens: 50), row("8", -1, tokens: 0), row("8", -0.5, tokens: 100),
      row(right, 0.5 + 0.25 * (1 + cos(Double.pi / 4)), tokens: 25),
      Row(answer: " ", completion: right, expected: .notApplicable),
    ]
    try check("cosine_length.py", arguments: ["--longest", "100", "--own-rules"], rows)
    try check(
      "cosine_length.py",
      arguments: ["--longest", "100", "--right", "2", "1", "--wrong", "-4", "0", "--exceeded", "-10", "--own-rules"],
      [
        row(right, 1.5, tokens: 50), row("8", -2, tokens: 50), row(right, -10, tokens: 100, finished: false),
      ])
  }

  @Test("judge.py scales the verdict, tries again after passing faults, and leaves all others without a score")
  func judge() throws {
    func verdict(_ completion: String, _ score: Double?) -> Row {
      Row(completion: completion, expected: score.map { .scored($0, metrics: [:]) } ?? .unscored(.none))
    }
    let rows = [
      verdict("score 7", 0.7), verdict("score 0", 0), verdict("score 10", 1), verdict("flaky 5", 0.5),
      verdict("score 11", nil), verdict("score -1", nil), verdict("prose", nil), verdict("down", nil),
      verdict("refuse", nil), verdict("broken", nil), verdict("slow", nil), verdict("score 3", 0.3),
    ]
    let command =
      ["env", "OPENAI_API_KEY=secret", "python3", Fixtures.url("rewards/fake_judge.py").path]
      + [Self.folder.appendingPathComponent("judge.py").path, "--model", "fake", "--timeout", "1", "--tries", "2"]
    let outcomes = try outcomes(command, rows)
    try compare(outcomes, rows)
    #expect(outcomes[0] == .scored(0.7, metrics: ["tries": 1]) && outcomes[3] == .scored(0.5, metrics: ["tries": 2]))
  }

  @Test("judge.py leaves completions without a score if nothing listens")
  func noJudge() throws {
    try check(
      "judge.py", arguments: ["--url", "http://127.0.0.1:9/v1", "--model", "none", "--tries", "1"],
      [Row(completion: "a", expected: .unscored(.none))])
  }

  @Test("run_code.py scores the share of passed tests, and contains programs that fail, hang, flood, fork or end early")
  func runCode() throws {
    func program(_ text: String, _ tests: [JSONValue], _ score: Double?) -> Row {
      Row(
        completion: text, fields: ["tests": .list(tests)],
        expected: score.map { .scored($0, metrics: [:]) } ?? .notApplicable)
    }
    let double: [JSONValue] = [
      .object(["input": "3\n", "output": "6"]), .object(["input": "0\n", "output": "0\n"]),
      .object(["input": "-1\n", "output": "-2"]), .object(["input": "x\n", "output": "?"]),
    ]
    let asserts: [JSONValue] = ["assert f(2) == 4", "assert f(3) == 9"]
    let rows = [
      program("Here it is:\n```python\nprint(2 * int(input()))\n```\nDone.", double, 0.75),
      program("print(2 * int(input()))", double, 0.75),
      program("```python\ndef f(x): return x * x\n```", asserts, 1),
      program("```python\ndef f(x): return 4\n```", asserts, 0.5),
      program("def f(x): return x *", asserts, 0),
      program("import sys; sys.exit(0)", asserts, 0),
      program("while True: pass", asserts, 0),
      program("import time; time.sleep(100)", asserts, 0),
      program("x = bytearray(1 << 30)\ndef f(x): return x * x", asserts, 0),
      program("while True: print('y' * 10000)", asserts, 0),
      program("import os\nif os.fork() == 0:\n  import time; time.sleep(100)\nprint(2 * int(input()))", double, 0.75),
      program(
        "import os; print(sorted(os.environ) == ['LANG', 'PATH'], os.listdir())",
        [
          .object(["output": "True ['program.py']"])
        ], 1),
      program("anything", [], nil), Row(completion: "no tests", expected: .notApplicable),
    ]
    try check("run_code.py", arguments: ["--seconds", "1", "--megabytes", "256"], rows)
  }
}
