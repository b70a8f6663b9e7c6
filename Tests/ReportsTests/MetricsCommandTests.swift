import Foundation
import Reports
import Testing

/// Programs are shell scripts that read the lines of metrics.
@Suite("Programs that read the metrics")
struct MetricsCommandTests {
  /// A folder that is removed with the object, and the lines about a program.
  private final class Bench {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-tracker-\(UUID().uuidString)")
    private(set) var log: [String] = []

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: folder) }

    func command(_ script: String, timeout: Double = 20, capacity: Int = 4 << 20) throws -> MetricsCommand {
      try MetricsCommand(
        ["sh", "-c", script], variables: ["FILE": folder.appendingPathComponent("file").path, "QUILLAN_STEP": "7"],
        timeout: timeout, capacity: capacity
      ) { [unowned self] in log.append($0) }
    }

    var file: String? { try? String(contentsOf: folder.appendingPathComponent("file"), encoding: .utf8) }
  }

  private func line(_ step: Int, padding: Int = 0) -> [UInt8] {
    Array("{\"step\":\(step),\"x\":\"\(String(repeating: "y", count: padding))\"}\n".utf8)
  }

  @Test("A program gets every line in order, and the variables, and may replace its own streams")
  func lines() throws {
    let bench = try Bench()
    let command = try bench.command("echo $QUILLAN_STEP >$FILE; exec cat >>$FILE 2>&1")
    for step in 1...5 { command.send(line(step)) }
    command.finish()
    #expect(bench.file == "7\n" + (1...5).map { String(decoding: line($0), as: UTF8.self) }.joined())
    #expect(bench.log == [])
  }

  @Test("Lines beyond a pipe's buffer wait for a program that reads slowly")
  func slow() throws {
    let bench = try Bench()
    let command = try bench.command("sleep 0.3; while IFS= read -r line; do n=$((n + 1)); done; echo $n >$FILE")
    for step in 1...1000 { command.send(line(step, padding: 1000)) }
    command.finish()
    #expect(bench.file == "1000\n" && bench.log == [])
  }

  @Test("A program that does not read misses lines, which is said once, and is killed with its children at the end")
  func stuck() throws {
    let bench = try Bench()
    let command = try bench.command("trap '' TERM; sleep 100 & echo $! >$FILE; wait", timeout: 0.5, capacity: 10_000)
    for step in 1...200 { command.send(line(step, padding: 1000)) }
    command.finish()
    #expect(bench.log.count == 3, "\(bench.log)")
    #expect(bench.log.first?.contains("misses lines of metrics") == true)
    #expect(bench.log.contains { $0.contains("was killed (logging.command_timeout)") })
    let missed = try #require(bench.log.last?.split(separator: " ").compactMap { Int($0) }.first)
    // The pipe holds 64 KiB, and about 9 lines wait.
    #expect(missed > 100 && missed < 200, "\(bench.log)")
    let child = try #require(pid_t((bench.file ?? "").trimmingCharacters(in: .whitespacesAndNewlines)))
    var waited = 0
    while kill(child, 0) == 0, waited < 5000 {
      usleep(1000)
      waited += 1
    }
    #expect(kill(child, 0) == -1)
    // After the end, lines are neither passed on nor counted.
    command.send(line(201))
    command.finish()
    #expect(bench.log.count == 3)
  }

  @Test("The end of a program is said once with its last message, and later lines go nowhere")
  func death() throws {
    let bench = try Bench()
    let command = try bench.command("echo no module named wandb >&2; exit 3")
    var step = 0
    while bench.log.count < 2, step < 5000 {
      step += 1
      command.send(line(step, padding: 100))
      usleep(1000)
    }
    for step in 1...2000 { command.send(line(step, padding: 1000)) }
    command.finish()
    #expect(
      bench.log == [
        "logging.command: no module named wandb",
        "logging.command exited with code 3; the run continues without it",
      ])
  }

  @Test("What a program writes goes to the log, and an error at its end is said")
  func messages() throws {
    let bench = try Bench()
    let command = try bench.command("cat >/dev/null; echo saved 3 lines; printf 'no line end' >&2; exit 2")
    command.send(line(1))
    command.finish()
    #expect(
      bench.log == [
        "logging.command: saved 3 lines", "logging.command: no line end", "logging.command exited with code 2",
      ])
  }

  @Test("A flood of output neither blocks the run nor fills the log")
  func flood() throws {
    let bench = try Bench()
    let command = try bench.command("cat >/dev/null & while :; do echo \"line $((n += 1))\"; done", timeout: 0.5)
    for step in 1...50 { command.send(line(step)) }
    command.finish()
    #expect(bench.log.count < 20, "\(bench.log.count) lines")
  }
}
