import Foundation
import Rollouts
import Synchronization
import Testing

/// Workers are shell scripts: `id` and `text` of each line are cut out, `answer R` answers reward R.
@Suite("Rewards by command")
struct CommandRewardTests {
  private static let prelude = """
    answer() { printf '{"id":%s,"reward":%s,"metrics":{"pid":%s}}\\n' "$id" "$1" $$; }
    next() {
      IFS= read -r line || exit 0
      id=${line#*\\"id\\":}; id=${id%%[,\\}]*}
      text=${line#*\\"completion\\":\\"}; text=${text%%\\"*}
    }

    """

  /// The lines that workers wrote to stderr.
  private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
  }

  private func reward(
    _ script: String, log: Lines = Lines(), _ change: (inout CommandReward.Settings) -> Void = { _ in }
  ) throws -> CommandReward {
    var settings = CommandReward.Settings(command: ["sh", "-c", Self.prelude + script])
    settings.timeout = 0.5
    settings.startTimeout = 5
    change(&settings)
    return try CommandReward(name: "own", settings: settings, rank: 3) { log.add($0) }
  }

  private func items(_ completions: [String]) -> [RewardItem] {
    completions.enumerated().map {
      RewardItem(
        id: UInt64(100 + $0.offset),
        prompt: Prompt(id: 0, text: "q", answer: "a", fields: ["level": .integer(2)], origin: "test"),
        completion: $0.element, completionTokens: 1, finished: true)
    }
  }

  private func score(_ outcome: RewardOutcome) -> Double? {
    if case .scored(let value, _) = outcome { value } else { nil }
  }

  @Test("Scores come back in order, from several processes and in batches of any size", arguments: [1, 2, 5, 64])
  func scores(batch: Int) throws {
    let reward = try reward("while :; do next; answer \"$text\"; done") {
      $0.workers = 3
      $0.batch = batch
    }
    for _ in 0..<2 {
      let outcomes = try reward.outcomes(items((0..<40).map { "0.\(100 + $0)" }))
      #expect(outcomes.map(score) == (0..<40).map { Double("0.\(100 + $0)") })
    }
    #expect(try reward.outcomes([]) == [])
    #expect(reward.score(prompt: items(["x"])[0].prompt, completion: "2.5", completionTokens: 1, finished: true) == 2.5)
  }

  @Test("Null does not apply; strings and missing rewards leave completions unscored, each with its reason")
  func unscored() throws {
    let reward = try reward(
      "next; answer 0; next; answer null; next; answer '\"good\"'; next; printf '{\"id\":%s}\\n' $id; next; answer 1; next"
    )
    let outcomes = try reward.outcomes(items(["a", "b", "c", "d", "e"]))
    #expect(outcomes.map(score) == [0, nil, nil, nil, 1])
    #expect(outcomes[1] == .notApplicable)
    #expect(outcomes[2] == .unscored(.notANumber))
    #expect(outcomes[3] == .unscored(.missing))
  }

  @Test("A completion that ends its process has no score; the next process scores the others of its batch")
  func crash() throws {
    let reward = try reward("while :; do next; [ \"$text\" = crash ] && exit 7; answer 1; done")
    let outcomes = try reward.outcomes(items(["a", "crash", "b", "crash", "c", "d"]))
    #expect(outcomes.map(score) == [1, nil, 1, nil, 1, 1])
    #expect(outcomes[1] == .unscored(.crash) && outcomes[3] == .unscored(.crash))
  }

  @Test("A completion that hangs its process is unscored after the timeout, and no descendant of the process survives")
  func timeout() throws {
    let reward = try reward(
      "while :; do next; [ \"$text\" = hang ] && { sleep 100 & echo child $! >&2; wait; }; answer 1; done")
    let start = ContinuousClock.now
    let outcomes = try reward.outcomes(items(["a", "hang", "b", "c"]))
    #expect(outcomes.map(score) == [1, nil, 1, 1])
    #expect(outcomes[1] == .unscored(.timeout))
    #expect(ContinuousClock.now - start < .seconds(5))
    guard case .scored(_, let first) = outcomes[0], case .scored(_, let last) = outcomes[3] else { return }
    let (killed, alive) = (pid_t(first["pid"] ?? 0), pid_t(last["pid"] ?? 0))
    #expect(killed != alive)
    #expect(kill(killed, 0) == -1 && errno == ESRCH)
    #expect(kill(alive, 0) == 0)
  }

  @Test("A process's stderr is logged; other lines of its output are not answers")
  func messages() throws {
    let log = Lines()
    let reward = try reward(
      "echo rank $QUILLAN_RANK >&2; while :; do next; echo thinking; echo '{\"id\":9,\"reward\":1}'; answer 1; done",
      log: log)
    #expect(try reward.outcomes(items(["a", "b"])).map(score) == [1, 1])
    #expect(log.all.contains("reward own: rank 3"))
    #expect(log.all.contains { $0.contains("not an answer to an open question: thinking") })
  }

  @Test("A program that never answers is an error with its last message")
  func broken() throws {
    let reward = try reward("echo no module named numpy >&2; exit 1")
    let error = #expect(throws: RewardError.self) { try reward.outcomes(items(["a", "b", "c", "d", "e"])) }
    #expect(error?.description.contains("exited with code 1") == true)
    #expect(error?.description.contains("no module named numpy") == true)
    let slow = try self.reward("sleep 100") {
      $0.timeout = 0.1
      $0.startTimeout = 0.1
    }
    #expect(throws: RewardError.self) { try slow.outcomes(items(["a", "b", "c", "d"])) }
  }

  @Test("A program that prints something else instead of answers is an error that quotes it and says what to do")
  func stray() throws {
    let log = Lines()
    let reward = try reward("while :; do next; echo score: 0.5; done", log: log) { $0.startTimeout = 0.5 }
    let error = #expect(throws: RewardError.self) { try reward.outcomes(items(["a", "b", "c", "d"])) }
    let line = error?.description ?? ""
    #expect(line.contains(#"it printed "score: 0.5", which is not an answer"#), "\(line)")
    #expect(line.contains("print all else to stderr") && !line.contains("\n"))
    #expect(log.all.count { $0.contains("print to stderr what is not an answer to an open question: score: 0.5") } == 1)
  }

  @Test("A missing program is an error before anything runs")
  func missing() {
    for command in [["no-such-program-anywhere"], ["/no/such/program"], []] {
      #expect(throws: RewardError.self) {
        try CommandReward(name: "own", settings: CommandReward.Settings(command: command)) { _ in }
      }
    }
  }

  @Test("Completions and answers far larger than a pipe's buffer do not deadlock")
  func large() throws {
    let reward = try CommandReward(
      name: "own",
      settings: CommandReward.Settings(command: [
        "sh", "-c",
        "sed -u 's/.*\"completion\":\"\\(.*\\)\",\"finished.*\"id\":\\([0-9]*\\).*/{\"reward\":1,\"x\":\"\\1\",\"id\":\\2}/'",
      ])
    ) { _ in }
    let long = String(repeating: "y", count: 300_000)
    let outcomes = try reward.outcomes(items((0..<12).map { _ in long }))
    #expect(outcomes.map(score) == [Double?](repeating: 1, count: 12))
  }
}
