import Formats
import Foundation
import Rollouts
import Synchronization
import Testing

/// Programs are shell scripts that answer each line of a batch with one line.
@Suite("Answers of a reward's program")
struct CommandAnswerTests {
  private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
  }

  /// `next` reads a line and sets `id`; `n` counts lines.
  private static let prelude = """
    n=0
    next() {
      IFS= read -r line || exit 0
      n=$((n + 1))
      id=${line#*\\"id\\":}; id=${id%%[,\\}]*}
    }

    """

  private func reward(_ script: String, log: Lines = Lines()) throws -> CommandReward {
    var settings = CommandReward.Settings(command: ["sh", "-c", Self.prelude + script])
    settings.timeout = 20
    settings.startTimeout = 20
    return try CommandReward(name: "own", settings: settings) { log.add($0) }
  }

  private func items(_ count: Int, fields: [String: JSONValue] = [:]) -> [RewardItem] {
    (0..<count).map {
      RewardItem(
        id: UInt64(100 + $0),
        prompt: Prompt(id: 7, text: "1+1=", answer: "2", fields: fields, origin: "p.jsonl:3"),
        completion: "c\($0)", completionTokens: 1, finished: $0 > 0)
    }
  }

  @Test(
    "An invalid answer leaves its completion unscored at once, with its reason; the process continues and others count",
    arguments: [
      (#"{"id":%s,"reward":NaN}"#, UnscoredReason.notFinite), (#"{"id":%s,"reward":Infinity}"#, .notFinite),
      (#"{"id":%s,"reward":-Infinity}"#, .notFinite), (#"{"id":%s,"reward":1e999}"#, .notFinite),
      (#"{"id":%s,"reward":1e308}"#, .outOfRange), (#"{"id":%s,"reward":-1000000000001}"#, .outOfRange),
      (#"{"id":%s,"reward":true}"#, .notANumber), (#"{"id":%s,"reward":"1.0"}"#, .notANumber),
      (#"{"id":%s,"reward":[1.0]}"#, .notANumber), (#"{"id":%s,"reward":{"score":1}}"#, .notANumber),
      (#"{"id":%s}"#, .missing), (#"{"id":%s,"score":1}"#, .missing),
      (#"{"id":%s,"applies":true}"#, .missing), (#"{"id":%s,"reward":null,"applies":true}"#, .none),
      (#"{"id":%s,"reward":1,"applies":"no"}"#, .unreadable), (#"{"id":%s,"reward":1,"applies":null}"#, .unreadable),
      (#"{"id":%s,"reward":1.}"#, .unreadable), (#"{"id":"%s","reward":1}"#, .unreadable),
      (#"{"reward":1}"#, .unreadable), (#"{"id":null,"reward":1}"#, .unreadable),
      ("{'id': %s, 'reward': 1}", .unreadable),
      (#"{"id":%s,"reward":1"#, .unreadable), (#"{"id":%s,"reward":nan}"#, .unreadable),
    ])
  func invalid(answer: String, reason: UnscoredReason) throws {
    let log = Lines()
    let quoted = answer.replacingOccurrences(of: "'", with: #"'\''"#)
    let reward = try reward(
      """
      while :; do next
        case $n in 2|4) printf '\(quoted)\\n' "$id" ;; *) printf '{"id":%s,"reward":%s,"metrics":{"pid":%s}}\\n' $id $n $$ ;; esac
      done
      """, log: log)
    let outcomes = try reward.outcomes(items(5))
    #expect(outcomes[1] == .unscored(reason) && outcomes[3] == .unscored(reason))
    var processes: Set<Double> = []
    for index in [0, 2, 4] {
      guard case .scored(let value, let metrics) = outcomes[index] else {
        Issue.record("completion \(index) has no score")
        continue
      }
      #expect(value == Double(index + 1))
      processes.insert(metrics["pid"] ?? 0)
    }
    #expect(processes.count == 1)
    guard reason != .none else { return #expect(log.all == []) }
    // The first is logged in full, with the prompt; the second is only counted.
    #expect(log.all.count == 1)
    for part in ["p.jsonl:3", #""1+1=""#, #""c1""#, reason.metrics[0]] {
      #expect(log.all.first?.contains(part) == true, "\(log.all)")
    }
  }

  @Test("Members of the prompt's line arrive unchanged, including id and finished")
  func members() throws {
    let text = #"""
      {"id":"gsm-7","finished":"maybe","uid":9007199254740993,"hash":18446744073709551615,"x":1e-7,"y":1.50,"z":-0,
      "big":123456789012345678901234567890,"deep":{"list":[1,"a",true,null,2E5]},"completion":"gold","quillan":1}
      """#
    guard case .object(let fields) = try JSONValue.parse(text.utf8, .exactNumbers) else { return }
    let log = Lines()
    // The line is logged as a message.
    let reward = try reward(
      "while :; do next; printf '%s\\n' \"$line\" >&2; printf '{\"id\":\"gsm-7\",\"reward\":%s}\\n' $n; done", log: log)
    let outcomes = try reward.outcomes(items(3, fields: fields))
    #expect(outcomes == (1...3).map { .scored(Double($0), metrics: [:]) })
    let line = try #require(log.all.first).dropFirst("reward own: ".count)
    for (name, value) in [
      ("id", #""gsm-7""#), ("finished", #""maybe""#), ("uid", "9007199254740993"), ("hash", "18446744073709551615"),
      ("x", "1e-7"), ("y", "1.50"), ("z", "-0"), ("big", "123456789012345678901234567890"),
      ("deep", #"{"list":[1,"a",true,null,2E5]}"#), ("completion", #""c0""#), ("answer", #""2""#),
      ("prompt", #""1+1=""#),
      ("quillan", #"{"finished":false,"id":100,"tokens":1}"#), ("row", #"{"completion":"gold","quillan":1}"#),
    ] { #expect(line.contains(#""\#(name)":\#(value)"#), "\(name) in \(line)") }
  }

  @Test("A program may answer in another order with the member quillan")
  func order() throws {
    let reward = try reward(
      """
      next; first=$line; next
      two=${line##*\\"quillan\\":}; two=${two%%\\}*}\\}; one=${first##*\\"quillan\\":}; one=${one%%\\}*}\\}
      printf '{"id":"same","reward":2,"quillan":%s}\\n{"id":"same","reward":1,"quillan":%s}\\n' "$two" "$one"; next
      """)
    let outcomes = try reward.outcomes(items(2, fields: ["id": .text("same")]))
    #expect(outcomes == [.scored(1, metrics: [:]), .scored(2, metrics: [:])])
  }

  @Test("A metric that is not a number is left out, and the score counts")
  func metrics() throws {
    let reward = try reward(
      #"while :; do next; printf '{"id":%s,"reward":1,"metrics":{"a":NaN,"b":2,"c":"x","d":1e999}}\n' $id; done"#)
    #expect(try reward.outcomes(items(1)) == [.scored(1, metrics: ["b": 2])])
  }

  @Test("Repeated messages are logged once, then counted; floods on either stream neither block nor fill the log")
  func repeats() throws {
    let log = Lines()
    let reward = try reward(
      """
      while :; do next
        i=0; while [ $i -lt 50 ]; do echo "scoring $i" >&2; echo "chatter $i"; i=$((i + 1)); done
        printf '{"id":%s,"reward":1}\\n' $id
      done
      """, log: log)
    _ = try reward.outcomes(items(20))
    #expect(log.all.count { $0.contains("scoring") } == 4)
    #expect(log.all.count { $0.contains("chatter") } == 4)
    #expect(log.all.contains { $0.contains("1000 lines like this") })

    let flood = Lines()
    let loud = try self.reward(
      """
      (while :; do printf '%01000d\\n' 7; printf '%0100000d' 7 >&2; done) &
      tr -dc 'a-z\\n' </dev/urandom | head -c 3000000 >&2
      while :; do next; printf '{"id":%s,"reward":1}\\n' $id; done
      """, log: flood)
    #expect(try loud.outcomes(items(3)).allSatisfy { $0 == .scored(1, metrics: [:]) })
    #expect(flood.all.reduce(0) { $0 + $1.utf8.count } < 200_000)
  }

  @Test("Control characters of a program do not reach the log")
  func control() throws {
    let log = Lines()
    let reward = try reward(
      "printf 'a\\033[31mred\\007\\n' >&2; while :; do next; printf '{\"id\":%s,\"reward\":1}\\n' $id; done", log: log)
    _ = try reward.outcomes(items(1))
    #expect(log.all.first?.contains("red") == true)
    #expect(log.all.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 } })
  }
}
