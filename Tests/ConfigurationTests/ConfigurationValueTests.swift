import Configuration
import Foundation
import Testing

@Suite struct ConfigurationValueTests {
  private func configuration(_ overrides: [String]) throws -> RunConfiguration {
    try RunConfiguration.parse(yaml: "data: {task: {name: addition, digits: 2}}", file: "c.yaml", overrides: overrides)
  }

  @Test(
    "The value of a text has no quotes and escapes",
    arguments: [
      "läufe", "runs # not a comment", "two words", "$(touch x)`y`", "a\"b'c", "back\\slash", "line\nend", "tab\t",
      "null", "true", "12", "-", "[x]", "{x: y}", "*a", "漢字🙂", "~", " leading and trailing ",
    ])
  func texts(text: String) throws {
    var changed = try configuration([])
    changed.logging.directory = text
    #expect(try changed.value(of: "logging.directory") == text)
    // The value must also survive writing and reading the file.
    let read = try RunConfiguration.parse(yaml: changed.yaml(), file: "config.yaml")
    #expect(try read.value(of: "logging.directory") == text)
  }

  @Test("The value of a number or choice is plain text, of null an empty text, of a list YAML on one line")
  func others() throws {
    let changed = try configuration(["rl.batch_size=12", "rl.learning_rate=1e-3"])
    #expect(try changed.value(of: "rl.batch_size") == "12")
    #expect(try Double(changed.value(of: "rl.learning_rate")) == 1e-3)
    #expect(try changed.value(of: "data.tokenizer") == "gpt2")
    #expect(try changed.value(of: "data.prompts") == "")
    #expect(try changed.value(of: "data.rewards").hasPrefix("[{"))
  }

  @Test("An unknown key gives an error with the nearest key; a value with NUL gives an error")
  func errors() throws {
    for name in ["rl.bath_size", "rl", "", ".", "rl.batch_size.x", "logging.directory "] {
      let error = try #require(throws: ConfigurationError.self) { try configuration([]).value(of: name) }
      #expect(error.problem == "there is no such key" && error.remedy?.hasPrefix("did you mean '") == true, "\(name)")
    }
    let error = try #require(throws: ConfigurationError.self) { try configuration([]).value(of: "rl.bath_size") }
    #expect(error.remedy == "did you mean 'rl.batch_size'?")
    var changed = try configuration([])
    changed.logging.directory = "a\0b"
    #expect(throws: ConfigurationError.self) { try changed.value(of: "logging.directory") }
  }

  @Test("The input files include the files in the command of a reward")
  func files() throws {
    let script = FileManager.default.temporaryDirectory.appendingPathComponent("score, it [\(UUID().uuidString)].py")
    try "".write(to: script, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: script) }
    var changed = try configuration(["data.task=null", "data.prompts='p q.jsonl'", "checkpoint.weights=w.safetensors"])
    var reward = RewardConfiguration()
    reward.name = .command
    reward.command = ["no-such-program-here", script.path, "--flag", "/tmp"]
    changed.data.rewards = [reward]
    #expect(changed.inputFiles == ["p q.jsonl", "w.safetensors", script.path])
  }
}
