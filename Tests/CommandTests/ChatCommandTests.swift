import Foundation
import TestSupport
import Testing

/// Chats from training to exports, with the program.
@Suite("Chats", .serialized) struct ChatCommandTests {
  private static let form = #"data.chat={turn: "<|begin|>{role} {content}<|end|>", system: "add"}"#

  private func train(_ folder: TemporaryFolder, _ more: String...) throws -> Program.Outcome {
    let root = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent().path
    let settings =
      [
        "logging.directory=\(folder.path("runs"))", "rl.batch_size=2", "rl.num_epochs=1", "rl.warmup_steps=0",
        "evaluation.count=2", "parallel.threads=1", "model.dim=64", "model.expert_dim=128", "model.overseer_dim=256",
        "model.int4_group=64", "data.max_prompt_len=56",
      ] + UnevenRewards.settings + more
    return try Program.execute(
      [Program.path, "train", "--config", "\(root)/configs/quickstart.yaml", "--name", "run"]
        + settings.flatMap { ["--set", $0] })
  }

  private func promptTokens(_ outcome: Program.Outcome) throws -> Int? {
    #expect(outcome.status == 0, "\(outcome.errors)")
    let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
    return value?["prompt_tokens"] as? Int
  }

  @Test("A run, its packed model and its export answer in the chat form that it was trained with")
  func sameForm() throws {
    let folder = try TemporaryFolder()
    let trained = try train(folder, Self.form)
    #expect(trained.status == 0, "\(trained.errors)")
    let run = folder.path("runs/run")
    // 1 + "system add" + 1 + 1 + "user hi" + 1 + 1 + "assistant ".
    let expected = 1 + 10 + 1 + 1 + 7 + 1 + 1 + 10
    let last = ["--json", "--max-tokens", "1"]
    let generate = { (arguments: [String]) in
      try Program.execute([Program.path, "generate"] + arguments + last)
    }
    #expect(try promptTokens(generate([run, "hi", "--chat"])) == expected)
    #expect(try promptTokens(generate([run, "hi", "--chat", "--system", "ad"])) == expected - 1)
    let messages = try folder.write("m.json", Data(#"[{"role": "user", "content": "hi"}]"#.utf8))
    #expect(try promptTokens(generate([run, "--messages", messages])) == expected)

    let packed = folder.path("model.qpk")
    #expect(try Program.run("quantize", run, "-o", packed).status == 0)
    #expect(try promptTokens(generate([packed, "--messages", messages])) == expected)
    let exported = folder.path("export")
    #expect(try Program.run("export", "safetensors", run, "-o", exported).status == 0)
    #expect(try promptTokens(generate([exported, "--messages", messages])) == expected)
    let configuration = try folder.text("export/tokenizer_config.json")
    #expect(configuration.contains(#""chat_template""#) && configuration.contains("<|begin|>"))
  }

  @Test("Conversations that cannot be answered, and forms without their tokens, are refused with a reason")
  func refusals() throws {
    let folder = try TemporaryFolder()
    let chatML = try train(folder, "data.chat=chatml")
    #expect(chatML.status == 2)
    #expect(chatML.errors.contains("data.chat: the tokenizer has no special token '<|im_end|>'"))
    let unknown = try train(folder, "data.chat=alpaca")
    #expect(unknown.status == 2 && unknown.errors.contains("data.chat must be chatml, llama3"))
    let turn = try train(folder, #"data.chat={turn: "{content}"}"#)
    #expect(turn.status == 2 && turn.errors.contains("data.chat is unusable: turn must contain {role}"))
    for (text, status, reason) in [
      ("[]", Int32(3), "is not a list of messages"), ("{", 3, "is not JSON"),
      (#"[{"role": "user"}]"#, 3, "message 0 has no role or content"),
      (#"[{"role": "assistant", "content": "x"}]"#, 3, "the last message is the assistant's"),
      (#"[{"role": "user", "content": "x"}]"#, 2, "the model has no chat form"),
    ] {
      let file = try folder.write("m.json", Data(text.utf8))
      let outcome = try Program.execute(
        [Program.path, "generate"] + GenerateTests.source + ["--messages", file, "--set", "data.tokenizer=byte"])
      #expect(outcome.status == status && outcome.errors.contains(reason), "\(text): \(outcome.errors)")
    }
  }
}
