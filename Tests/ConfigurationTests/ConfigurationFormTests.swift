import Configuration
import Foundation
import Rollouts
import Testing

@Suite struct ConfigurationFormTests {
  private func problem(_ yaml: String) -> String? {
    do throws(ConfigurationError) {
      _ = try RunConfiguration.parse(yaml: yaml, file: "x.yaml")
      return nil
    } catch {
      return error.description
    }
  }

  @Test("A byte order mark is ignored and does not change line numbers")
  func byteOrderMark() throws {
    let text = "\u{FEFF}rl:\n  batch_size: 7\n"
    #expect(try RunConfiguration.parse(yaml: text, file: "x.yaml").rl.batchSize == 7)
    #expect(problem("\u{FEFF}rl:\n  batch_sise: 7\n")?.hasPrefix("x.yaml:2: unknown key 'rl.batch_sise'") == true)
    #expect(problem("\u{FEFF}") == "x.yaml: is empty; start from configs/quickstart.yaml")
  }

  @Test(
    "Aliases are expanded in values and rejected in keys, where the expansion is unbounded",
    .timeLimit(.minutes(1)))
  func aliases() throws {
    let tasks = "evaluation:\n  tasks: [&one {name: copy, length: 3}, *one, *one]\n"
    #expect(try RunConfiguration.parse(yaml: tasks, file: "x.yaml").evaluation.tasks.count == 3)
    let quoted = "data:\n  rewards: [{name: format, pattern: \"& *x [a*b]\"}] # & *y\n"
    #expect(try RunConfiguration.parse(yaml: quoted, file: "x.yaml").data.rewards[0].pattern == "& *x [a*b]")
    var list = "a0: &a0 [1]\n"
    for level in 1...30 { list += "a\(level): &a\(level) {[*a\(level - 1),*a\(level - 1)]: 1}\n" }
    #expect(problem(list) == "x.yaml: has an alias (*name) in a key; write the key out")
    var question = "a0: &a0 [1]\n"
    for level in 1...12 { question += "a\(level): &a\(level)\n  ? [*a\(level - 1), *a\(level - 1)]\n  : 1\n" }
    #expect(problem(question) == "x.yaml: has an alias (*name) in a key; write the key out")
    #expect(problem("a: &a b\n*a : 1\n") == "x.yaml: has an alias (*name) in a key; write the key out")
    var values = "a0: &a0 [1]\n"
    for level in 1...30 { values += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
    #expect(problem(values)?.contains("has more than 100000 values") == true)
  }

  @Test("The nesting of brackets, keys and indentation is limited")
  func nesting() {
    for deep in [
      String(repeating: "[", count: 500_000), "a: " + String(repeating: "{[", count: 9),
      String(repeating: "? ", count: 20) + "a",
    ] {
      #expect(problem(deep) == "x.yaml: nests brackets or keys deeper than 16 levels")
    }
    let list = "rl:\n " + String(repeating: "- ", count: 100) + "1\n"
    #expect(problem(list)?.hasSuffix("lists and groups are nested deeper than 64 levels") == true)
  }

  @Test("A config.yaml of version 0.1 is read with split version 1; any other file leaves the version unset")
  func splitVersion() throws {
    var configuration = RunConfiguration()
    configuration.data.splitVersion = .byText
    let yaml = configuration.yaml()
    #expect(try RunConfiguration.parse(yaml: yaml, file: "config.yaml").data.split == .byText)
    let old = yaml.replacing("  split_version: 2\n", with: "")
    #expect(old != yaml)
    #expect(try RunConfiguration.parse(yaml: old, file: "config.yaml").data.split == .byNumber)
    let own = try RunConfiguration.parse(yaml: "data:\n  prompts: p.jsonl\n", file: "own.yaml").data
    #expect(own.splitVersion == nil && own.split == .byText)
    #expect(problem("data: {split_version: 3}") == "x.yaml:1: data.split_version must be 1, 2 or null, got '3'")
  }
}
