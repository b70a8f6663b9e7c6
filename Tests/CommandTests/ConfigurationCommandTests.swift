import Foundation
import Testing

@Suite("Configuration command", .serialized)
struct ConfigurationCommandTests {
  /// Runs `quillan debug configuration` on the quickstart recipe.
  private func ask(_ arguments: [String]) throws -> Program.Outcome {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let recipe = root.appendingPathComponent("configs/quickstart.yaml").path
    return try Program.execute([try Program.path, "debug", "configuration", "--config", recipe] + arguments)
  }

  @Test("--get prints values in the given order, each ended by a line break or NUL")
  func values() throws {
    let keys = ["--get", "logging.directory", "--get", "rl.batch_size", "--get", "data.prompts"]
    let set = ["--set", "logging.directory='läufe # a\"b'", "--set", "rl.batch_size=7"]
    let lines = try ask(set + keys)
    #expect(lines.status == 0 && lines.errors.isEmpty)
    #expect(lines.output == "läufe # a\"b\n7\n\n")
    let null = try ask(["--null"] + set + keys)
    #expect(null.output == "läufe # a\"b\07\0\0")
  }

  @Test("An unknown key gives one line with the nearest key, exit code 2, and no output")
  func unknown() throws {
    let outcome = try ask(["--get", "rl.batch_size", "--get", "rl.bath_size"])
    #expect(outcome.status == 2 && outcome.output.isEmpty)
    #expect(outcome.messages == ["quillan: --get rl.bath_size: there is no such key; did you mean 'rl.batch_size'?"])
  }

  @Test("--get, --files and --null are rejected in combinations without a meaning")
  func usage() throws {
    for arguments in [["--null"], ["--files", "--get", "rl.seed"], ["--reference"]] {
      let outcome = try ask(arguments)
      #expect(outcome.status == 2 && outcome.messages.count == 1, "\(arguments)")
    }
  }

  @Test("debug environment reports that a process is bound to one core")
  func oneCore() throws {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let list = try #require(status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") })
    let first = String(list.split(separator: "\t")[1].prefix { $0.isNumber })
    let outcome = try Program.execute([
      "/usr/bin/env", "taskset", "-c", first, try Program.path, "debug", "environment",
    ])
    #expect(outcome.status == 0)
    #expect(outcome.output.split(separator: "\n").contains { $0.hasPrefix("cores") && $0.contains(" 1 usable of ") })
  }
}
