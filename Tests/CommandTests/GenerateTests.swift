import Foundation
import TestSupport
import Testing

@Suite("Generate", .serialized)
struct GenerateTests {
  static let source = [
    Fixtures.url("golden/quantised.weights.safetensors").path, "--config", Fixtures.url("golden/quantised.json").path,
  ]

  private func generate(_ arguments: String...) throws -> Program.Outcome {
    try Program.execute([Program.path, "generate"] + Self.source + arguments)
  }

  private func object(_ text: String) throws -> [String: Any] {
    let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
    return try #require(value as? [String: Any])
  }

  private func tokens(_ arguments: String...) throws -> [[Int]] { try tokens(arguments) }

  private func tokens(_ arguments: [String]) throws -> [[Int]] {
    let outcome = try Program.execute(
      [Program.path, "generate"] + Self.source + ["1 2 3", "--token-ids", "--json", "--max-tokens", "12"] + arguments)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let completions = try #require(object(outcome.output)["completions"] as? [[String: Any]])
    return completions.compactMap { $0["tokens"] as? [Int] }
  }

  @Test("Equal seeds give equal text, regardless of batch, threads and storage of the weights")
  func same() throws {
    let hot = ["--temperature", "20"]
    let one = try tokens(hot + ["--seed", "3"])
    #expect(try tokens(hot + ["--seed", "3", "-n", "4"])[0] == one[0])
    #expect(try tokens(hot + ["--seed", "3", "--threads", "2"]) == one)
    #expect(try tokens(hot + ["--seed", "4"]) != one)
    let folder = try TemporaryFolder()
    for layout in ["mapped", "compressed"] {
      _ = try Program.execute(
        [Program.path, "quantize"] + Self.source + ["-o", folder.path(layout), "--layout", layout])
      let packed = try Program.run(
        "generate", folder.path(layout), "1 2 3", "--token-ids", "--json", "--max-tokens", "12", "--seed", "3",
        "--temperature", "20")
      let completions = try #require(object(packed.output)["completions"] as? [[String: Any]])
      #expect(completions[0]["tokens"] as? [Int] == one[0])
    }
  }

  @Test("Filters that leave one candidate choose the greedy token, and a high penalty prevents repetition")
  func filters() throws {
    let greedy = try tokens("--temperature", "0")
    #expect(try tokens("--top-k", "1") == greedy)
    #expect(try tokens("--top-p", "0.000001") == greedy)
    #expect(try tokens("--min-p", "1") == greedy)
    let apart = try tokens("--temperature", "0", "--repetition-penalty", "1000000")[0]
    #expect(Set(apart + [1, 2, 3]).count == apart.count + 3)
  }

  @Test("Log-probabilities list the most probable tokens in order, with the greedy token first")
  func logprobs() throws {
    let outcome = try generate(
      "5", "--token-ids", "--json", "--max-tokens", "4", "--temperature", "0", "--logprobs", "3")
    let completion = try #require((object(outcome.output)["completions"] as? [[String: Any]])?.first)
    let values = try #require(completion["logprobs"] as? [Double])
    let top = try #require(completion["top"] as? [[[String: Any]]])
    let drawn = try #require(completion["tokens"] as? [Int])
    #expect(values.count == 4 && top.count == 4 && completion["finish"] as? String == "length")
    for (step, candidates) in top.enumerated() {
      let logs = candidates.compactMap { $0["logprob"] as? Double }
      #expect(candidates.count == 3 && logs == logs.sorted(by: >) && logs[0] == values[step])
      #expect(candidates[0]["token"] as? Int == drawn[step])
    }
  }

  @Test("The prompt is an argument, a file or standard input, and a completion ends before a stop string")
  func inputs() throws {
    let folder = try TemporaryFolder()
    let whole = try generate("1 2 3", "--token-ids", "--max-tokens", "12", "--temperature", "0")
    #expect(whole.status == 0 && whole.output.hasSuffix("\n"))
    let file = try folder.write("prompt", Data("1 2 3".utf8))
    #expect(
      try generate("--file", file, "--token-ids", "--max-tokens", "12", "--temperature", "0").output == whole.output)
    let words = whole.output.split(separator: " ").map(String.init)
    let stopped = try generate(
      "1 2 3", "--token-ids", "--max-tokens", "12", "--temperature", "0", "--stop", " \(words[3]) ", "--json")
    let completion = try #require((object(stopped.output)["completions"] as? [[String: Any]])?.first)
    #expect(completion["finish"] as? String == "stop")
    let text = try #require(completion["text"] as? String)
    #expect(!text.contains(" \(words[3]) ") && whole.output.hasPrefix(text))
  }

  @Test("A batch gives one line per prompt in order, the same for any batch size")
  func batch() throws {
    let folder = try TemporaryFolder()
    let input = try folder.write(
      "in.jsonl", Data((0..<5).map { "{\"prompt\": \"\($0) 7\"}\n" }.joined().utf8))
    let together = try generate("--batch", input, "--token-ids", "--max-tokens", "6")
    #expect(together.status == 0, "\(together.errors)")
    let lines = together.output.split(separator: "\n")
    #expect(lines.count == 5)
    for (index, line) in lines.enumerated() {
      #expect(try object(String(line))["prompt"] as? String == "\(index) 7")
    }
    let alone = try generate(
      "--batch", input, "--token-ids", "--max-tokens", "6", "--batch-size", "1", "-o", folder.path("out"))
    #expect(alone.status == 0 && alone.output.isEmpty)
    #expect(try folder.text("out") == together.output)
  }

  @Test("Invalid input gives one line and an exit code")
  func refusals() throws {
    let folder = try TemporaryFolder()
    let cases: [(Int32, [String])] = [
      (3, ["a text"]),
      (3, ["1 64", "--token-ids"]),
      (3, ["", "--token-ids"]),
      (1, ["1", "--token-ids", "--max-tokens", "100000"]),
      (1, [String(repeating: "1 ", count: 3000), "--token-ids"]),
      (2, ["1", "--token-ids", "--temperature", "-1"]),
      (2, ["1", "--token-ids", "--top-p", "0"]),
      (2, ["1", "--file", "x"]),
      (1, ["--file", folder.path("absent"), "--token-ids"]),
      (1, ["--batch", folder.path("absent"), "--token-ids"]),
      (3, ["--batch", try folder.write("bad", Data("{\"prompt\": 1}\n".utf8)), "--token-ids"]),
      (3, ["--file", try folder.write("latin", Data([0x31, 0xE9])), "--token-ids"]),
    ]
    for (status, arguments) in cases {
      let outcome = try Program.execute([Program.path, "generate"] + Self.source + arguments)
      #expect(outcome.status == status, "\(arguments.first ?? ""): \(outcome.errors)")
      #expect(outcome.messages.count == 1 && outcome.output.isEmpty, "\(outcome.errors)")
    }
  }

  @Test("An interrupt prints the text so far and ends with exit code 75")
  func interrupt() throws {
    let folder = try TemporaryFolder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try Program.path)
    process.arguments = ["generate"] + Self.source + ["1", "--token-ids", "--max-tokens", "2000"]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try folder.handle("output")
    process.standardError = try folder.handle("errors")
    try process.run()
    let deadline = Date().addingTimeInterval(30)
    while try folder.text("output").isEmpty, process.isRunning, Date() < deadline { usleep(2000) }
    kill(process.processIdentifier, SIGINT)
    process.waitUntilExit()
    #expect(process.terminationStatus == 75 && process.terminationReason == .exit)
    #expect(try folder.text("output").hasSuffix("\n"))
    #expect(try folder.text("errors").isEmpty)
  }

  /// A tokenizer.json of the 256 bytes and an end token, without merges.
  private static func byteTokenizer() throws -> Data {
    let printable = Set(Array(33...126) + Array(161...172) + Array(174...255))
    var vocabulary: [String: Int] = ["<end>": 256]
    var next: UInt32 = 256
    for byte in 0..<256 {
      let scalar = printable.contains(byte) ? Unicode.Scalar(UInt8(byte)) : Unicode.Scalar(next)
      if !printable.contains(byte) { next += 1 }
      vocabulary[String(Character(try #require(scalar)))] = byte
    }
    return try JSONSerialization.data(withJSONObject: [
      "model": ["type": "BPE", "vocab": vocabulary, "merges": [String]()] as [String: Any],
      "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false] as [String: Any],
    ])
  }

  @Test("A packed model uses its training tokenizer, or the one given by --tokenizer")
  func tokenizerOfAFile() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write("tokenizer.json", Self.byteTokenizer())
    let recipe = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("configs/quickstart.yaml").path
    let sets = [
      "pretrain.steps=1", "pretrain.stop_at_exact_match=0", "model.dim=32", "model.expert_dim=64", "evaluation.count=8",
      "data.tokenizer=file", "data.tokenizer_file=\(file)", "data.end_token=<end>",
      "logging.directory=\(folder.path(""))",
    ]
    let trained = try Program.execute(
      [Program.path, "pretrain", "--config", recipe, "--name", "run"] + sets.flatMap { ["--set", $0] })
    #expect(trained.status == 0, "\(trained.errors)")
    let model = folder.path("model.qpk")
    let packed = try Program.run("quantize", folder.path("run"), "-o", model)
    #expect(packed.status == 0, "\(packed.errors)")
    let arguments = ["generate", model, "12+30=", "--seed", "3", "--max-tokens", "6", "--temperature", "5", "--json"]
    let own = try Program.execute([Program.path] + arguments)
    #expect(own.status == 0, "\(own.errors)")

    try FileManager.default.moveItem(atPath: file, toPath: folder.path("moved.json"))
    let lost = try Program.execute([Program.path] + arguments)
    #expect(lost.status != 0 && lost.messages.count == 1 && lost.errors.contains(file), "\(lost.errors)")
    let named = try Program.execute(
      [Program.path] + arguments + ["--tokenizer", folder.path("moved.json"), "--end-token", "<end>"])
    #expect(named.status == 0 && named.output == own.output, "\(named.errors)")
  }
}
