import Foundation
import MPI
import Rollouts
import Testing
import Training
import TrainingSupport

@Suite struct DataCheckTests {
  /// The materials of a run with these lines as prompts.
  private func materials(
    _ lines: [String], _ phase: RunPhase = .train, _ change: (inout RunConfiguration) -> Void = { _ in }
  ) throws -> RunAssembly.Materials {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("p.jsonl")
    try (lines.joined(separator: "\n") + "\n").write(to: file, atomically: true, encoding: .utf8)
    let run = try TinyRun {
      $0.data.task = nil
      $0.data.prompts = file.path
      $0.data.heldOut = 0.3
      change(&$0)
    }
    return try run.assembly(Ranks.alone()).materials(for: phase, weights: nil)
  }

  private static func rows(_ count: Int, _ changed: [Int: String] = [:]) -> [String] {
    (0..<count).map { changed[$0] ?? "{\"prompt\": \"\($0)+1=\", \"answer\": \"\($0 + 1)\", \"system\": \"add\"}" }
  }

  private func refusal(
    _ lines: [String], _ phase: RunPhase = .train, _ change: (inout RunConfiguration) -> Void = { _ in }
  ) -> TrainingError? {
    #expect(throws: TrainingError.self) { try materials(lines, phase, change) }
  }

  @Test(
    "The first prompt that is too long is reported with its line and the number of further ones",
    arguments: [3, 37, 59])
  func longPrompts(index: Int) {
    let long = "{\"prompt\": \"\(String(repeating: "9", count: 17))\", \"answer\": \"1\"}"
    for phase in [RunPhase.train, .pretrain] {
      let alone = refusal(Self.rows(60, [index: long]), phase)
      #expect(alone?.kind == .data)
      #expect(alone?.description.contains("p.jsonl:\(index + 1): the prompt has 17 tokens, at most 16 fit") == true)
      #expect(alone?.description.contains("other line") == false)
      let several = refusal(Self.rows(64, [index: long, 60: long, 63: long]), phase)
      #expect(several?.description.contains("p.jsonl:\(index + 1): ") == true)
      #expect(several?.description.hasSuffix("(and 2 other lines)") == true)
    }
    #expect(throws: Never.self) { try materials(Self.rows(60, [index: long])) { $0.data.truncation = .left } }
  }

  @Test("A missing template member, an answer without a number and a demonstration that is too long are reported")
  func otherFaults() {
    let lines = Self.rows(30, [11: "{\"prompt\": \"7+1=\", \"answer\": \"none\"}"])
    let member = refusal(lines) { $0.data.template = "{system}{prompt}" }
    #expect(member?.kind == .data)
    #expect(member?.description.contains("p.jsonl:12: data.template: {system} is missing") == true)
    let number = refusal(lines) { $0.data.rewards[0].name = .numericMatch }
    #expect(number?.kind == .data)
    #expect(
      number?.description.contains("p.jsonl:12: the reward numeric_match has no value for the answer \"none\"") == true)
    let long = Self.rows(30, [11: "{\"prompt\": \"7+1=\", \"answer\": \"\(String(repeating: "8", count: 20))\"}"])
    #expect(throws: Never.self) { try materials(long) }
    let demonstration = refusal(long, .pretrain) { $0.data.heldOut = 0 }
    #expect(demonstration?.kind == .data)
    #expect(demonstration?.description.contains("p.jsonl:12: prompt and answer have 25 tokens") == true)
  }

  @Test("A task with problems that are too long and an empty split are configuration errors")
  func configurations() throws {
    let run = try TinyRun { $0.data.task?.digits = 9 }
    let error = #expect(throws: TrainingError.self) {
      try run.assembly(Ranks.alone()).materials(for: .train, weights: nil)
    }
    #expect(error?.kind == .configuration)
    #expect(error?.description.contains("the prompt has 20 tokens, at most 16 fit") == true)
    #expect(throws: TaskError.self) { try materials(Self.rows(1)) { $0.data.heldOut = 0.9999999 } }
  }

  @Test("Answers longer than completions and misspelt special tokens give warnings")
  func warnings() throws {
    let long = Self.rows(10, [4: "{\"prompt\": \"4+1=\", \"answer\": \"fivefive\"}"])
    let answers = try materials(long) {
      $0.data.heldOut = 0
      var reward = RewardConfiguration()
      reward.name = .exactMatch
      $0.data.rewards = [reward]
    }.warnings
    #expect(answers.count == 1 && answers.first?.contains("1 of 10 answers have more tokens") == true)
    #expect(try materials(Self.rows(10)).warnings.isEmpty)
    func names(_ template: String) throws -> [String] {
      let read = try materials(Self.rows(10)) {
        $0.data.template = template
        $0.data.truncation = .left
      }
      return read.warnings.map { String($0.split(separator: "'")[1]) }
    }
    #expect(try names("<|begin|>{prompt}<|end|>") == [])
    #expect(try names("<|usr|>{prompt}<|end|>") == ["<|usr|>"])
    #expect(try names("<begin>{prompt}<|begin>[x] <answer> 1<2") == ["<begin>", "<|begin>"])
    let chat = try materials(Self.rows(10)) {
      $0.data.template = "<|begin|>{prompt}"
      $0.data.truncation = .left
      var form = ChatConfiguration()
      form.turn = "{role}{content}<|end|>"
      $0.data.chat = form
    }.warnings
    #expect(chat.count == 1 && chat.first?.contains("'<|begin|>' is read as plain text in the user's") == true)
  }

  @Test("All of 200,000 prompts are checked, including the last")
  func manyPrompts() {
    let error = refusal(
      Self.rows(200_000, [199_999: "{\"prompt\": \"a\", \"answer\": \"b\"}"])
    ) {
      $0.data.rewards[0].name = .numericMatch
    }
    #expect(error?.description.contains("p.jsonl:200000: ") == true)
  }
}
