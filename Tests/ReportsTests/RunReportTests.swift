import Configuration
import Formats
import Foundation
import Reports
import Rollouts
import Testing

/// A folder with run directories.
private final class ReportFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("report-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// A run with 30 of 40 steps; the last line of metrics is incomplete.
  func run(
    _ name: String, seed: Int = 0, metric: String = "reward", sessions: [String] = []
  ) throws -> RunContent {
    var configuration = RunConfiguration()
    configuration.rl.seed = UInt64(seed)
    configuration.rl.numEpochs = 40
    configuration.pretrain.steps = 40
    let directory = try RunDirectory.create(parent: url.path, name: name, configuration: configuration)
    var metrics = "{\"format\":\"quillan-metrics\",\"version\":1}\n"
    for step in 1...30 {
      metrics +=
        "{\"entropy\":\(Double(step) / 10),\"eval/exact_match\":\(step == 20 ? 0.875 : step == 30 ? 0.75 : 0.25),"
        + "\"eval/reward\":\(0.02 * Double(step)),\"learning_rate\":\(step)e-5,"
        + "\"loads\":{\"experts\":[[1,3],[2,2]],\"mini_moes\":[[4,\(step)]],\"micro_agents_used\":[0.5,1]},"
        + "\"loss\":null,\"loss/aux\":\(step),\"\(metric)\":\(0.01 * Double(step)),\"step\":\(step)}\n"
    }
    try write(metrics + "{\"step\":31,\"rew", directory.metrics)
    let samples = """
      {"format":"quillan-samples","version":1}
      {"step":10,"prompt":"1 < 2 & \\"x\\"?","completion":"<script>","answer":"y","reward":0.5,"tokens":["<scr","ipt>"],"logprobs":[-0.1,-3.5]}
      {"step":20,"prompt":"p\\nq","completion":"unseen\\u202e","answer":null,"reward":null}

      """
    try write(samples, directory.samples)
    let alarms = """
      {"format":"quillan-alarms","version":1}
      {"step":25,"since":17,"name":"entropy_collapse","message":"entropy is gone"}

      """
    try write(alarms, directory.alarms)
    if !sessions.isEmpty {
      let header = "{\"format\":\"quillan-sessions\",\"version\":1}"
      try write(([header] + sessions).map { $0 + "\n" }.joined(), directory.sessions)
    }
    return try RunContent(path: directory.path)
  }

  func write(_ text: String, _ path: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }
}

private func start(_ time: String, step: Int = 0, ranks: Int = 2) -> String {
  "{\"event\":\"start\",\"parameters\":1234567,\"phase\":\"train\",\"program\":\"9.8.7\",\"ranks\":\(ranks),"
    + "\"step\":\(step),\"steps\":40,\"threads\":1,\"time\":\"2026-11-27T\(time)Z\"}"
}

private func end(_ time: String, _ outcome: String) -> String {
  "{\"event\":\"end\",\"outcome\":\"\(outcome)\",\"step\":30,\"time\":\"2026-11-27T\(time)Z\"}"
}

extension String {
  /// The charts with a title.
  fileprivate func charts(_ title: String) -> [String] {
    components(separatedBy: "<figure class=\"chart\">").dropFirst().filter {
      $0.hasPrefix("<figcaption>\(title) ")
    }.map { $0.components(separatedBy: "</figure>")[0] }
  }

  fileprivate func section(_ id: String) -> String {
    components(separatedBy: "<section id=\"\(id)\">").dropFirst().first?.components(separatedBy: "</section>")[0] ?? ""
  }
}

@Suite struct RunReportTests {
  @Test("The page has all sections and a table of contents, and its policy blocks all requests")
  func whole() throws {
    let folder = try ReportFolder()
    let html = RunReport([try folder.run("one")]).html
    for (id, heading) in [
      ("overview", "Overview"), ("curves", "Curves"), ("evaluations", "Evaluations"), ("alarms", "Alarms"),
      ("loads", "Loads of the council"), ("samples", "Sample completions"), ("configuration", "Configuration"),
    ] {
      #expect(html.contains("<section id=\"\(id)\"><h2>\(heading)</h2>"), "\(heading)")
      #expect(html.contains("<a href=\"#\(id)\">\(heading)</a>"), "\(heading)")
    }
    #expect(html.section("alarms").contains("<td>17</td><td>entropy collapse</td><td>entropy is gone</td>"))
    #expect(!html.contains("http://") && !html.contains("https://") && !html.contains("url("))
    #expect(html.contains("default-src 'none'"))
    // Only the script with the nonce may run.
    let nonce = try #require(html.firstMatch(of: /script-src 'nonce-([a-z0-9]{20,})'/)).1
    #expect(html.components(separatedBy: "nonce=\"\(nonce)\"").count == 2)
    #expect(html.contains("prefers-color-scheme: dark"))
  }

  @Test(
    "The state of a run is its recorded end, or not finished without one",
    arguments: [
      ([start("21:00:00"), end("21:10:00", "finished")], "finished"),
      ([start("21:00:00"), end("21:10:00", "stopped")], "stopped early"),
      ([start("21:00:00"), end("21:10:00", "failed")], "failed"),
      ([start("21:00:00")], "not finished"),
      ([start("21:00:00"), end("21:10:00", "stopped"), start("22:00:00", step: 30)], "not finished"),
      ([], "not finished"),
    ])
  func states(sessions: [String], state: String) throws {
    let folder = try ReportFolder()
    let html = RunReport([try folder.run("one", sessions: sessions)]).html
    let badge = try #require(html.firstMatch(of: /<span class="badge [a-z]+">([a-z ]+)<\/span>/)).1
    #expect(badge == state)
    if state != "finished" { #expect(html.contains("step 30 of 40")) }
    let compared = RunReport([try folder.run("two", sessions: sessions), try folder.run("three")]).html
    #expect(compared.section("overview").contains(">\(state)</span>"))
  }

  @Test("The overview has the date, the duration of all sessions, ranks, version, and the step of the best evaluation")
  func facts() throws {
    let folder = try ReportFolder()
    let sessions = [
      start("21:00:00"), end("21:10:00", "stopped"), start("22:00:00", step: 15, ranks: 1), end("22:00:30", "finished"),
    ]
    let overview = RunReport([try folder.run("one", sessions: sessions)]).html.section("overview")
    for fact in [
      "27 November 2026, 21:00 UTC", "10m30s in 2 sessions", "1 rank, 1 thread each", "Quillan 9.8.7", "1,234,567",
      "0.250 → 0.750", "best 0.875 at step 20", "0.020 → 0.600", "best 0.600 at step 30",
    ] {
      #expect(overview.contains(fact), "\(fact)")
    }
  }

  @Test("Every chart contains its values for the pointer; only noisy curves have a mean")
  func curves() throws {
    let folder = try ReportFolder()
    let run = try folder.run("one")
    var lines = "{\"format\":\"quillan-metrics\",\"version\":1}\n"
    for step in 1...90 {
      lines += "{\"learning_rate\":\(step)e-5,\"reward\":\(step % 2),\"kl\":0.0,\"step\":\(step)}\n"
    }
    try folder.write(lines, "\(run.path)/metrics.jsonl")
    let html = RunReport([try RunContent(path: run.path)]).html
    let rate = try #require(html.charts("Learning rate").first)
    #expect(!rate.contains("class=\"faint") && !rate.contains("mean of"))
    // The curve starts at the value of the first step.
    #expect(rate.contains("\"y\":[\"1e-5\",\"2e-5\","))
    let reward = try #require(html.charts("Reward").first)
    #expect(reward.contains("class=\"faint") && reward.contains("bold: mean of 3 steps"))
    let data = try #require(reward.firstMatch(of: /<script type="application\/json">(.*)<\/script>/)).1
    let members = try #require(try JSONValue.parse(Array(data.utf8)).objectValue)
    let curve = try #require(members["curves"]?.listValue?.first?.objectValue)
    #expect(curve["x"]?.listValue?.compactMap(\.numberValue) == (1...90).map(Double.init))
    #expect(curve["y"]?.listValue?.compactMap(\.textValue) == (1...90).map { "\($0 % 2)" })
    // A constant 0 is at the lower end of the axis, not in the middle of ±0.4.
    let zero = try #require(html.charts("KL to π_old").first)
    #expect(zero.contains("\">0</span>") && !zero.contains("-0."))
  }

  @Test("The page has curves of the held-out reward and of further evaluations")
  func evaluations() throws {
    let folder = try ReportFolder()
    let html = RunReport([try folder.run("one")]).html
    #expect(html.charts("Held-out reward").count == 1 && html.charts("Held-out exact match").count == 1)
    #expect(html.section("evaluations").contains("<td>0.8750</td>"))
  }

  @Test("Runs of one kind share a chart; pre-training and reinforcement learning runs do not")
  func kinds() throws {
    let folder = try ReportFolder()
    let html = RunReport([
      try folder.run("a"), try folder.run("b"), try folder.run("c", metric: "loss/cross_entropy"),
    ]).html
    let balance = html.charts("Balance loss")
    #expect(balance.count == 2)
    #expect(balance.map { $0.components(separatedBy: "\"name\":").count - 1 } == [1, 2])
  }

  @Test("Prompts and completions are marked and escaped, tokens have log-probabilities, and a missing score is not 0")
  func samples() throws {
    let folder = try ReportFolder()
    let samples = RunReport([try folder.run("one")]).html.section("samples")
    #expect(
      samples.contains(
        "<div class=\"part prompt\"><span>prompt <em>step 10</em></span><pre>1 &lt; 2 &amp; &quot;x&quot;?</pre>"))
    #expect(samples.contains("<div class=\"part completion\"><span>completion <em>reward 0.500</em>"))
    #expect(samples.contains("title=\"log-probability -3.500, probability 0.030\">ipt&gt;</span>"))
    #expect(samples.contains("<em>unscored</em>"))
    #expect(samples.contains("p↵\nq") && samples.contains("unseen\u{FFFD}") && !samples.contains("<script"))
  }

  @Test("Every directory name is shown correctly as the name of a run")
  func names() throws {
    let folder = try ReportFolder()
    let html = RunReport([try folder.run("a<b>&'\"<!--"), try folder.run("läufe-二")]).html
    #expect(!html.contains("<b>&") && !html.contains("<!--"))
    #expect(html.contains("a&lt;b&gt;&amp;&#39;&quot;&lt;!--") && html.contains("läufe-二"))
    // In the data of the script, HTML escapes have no effect.
    #expect(html.contains("a\\u003cb>&'\\\"\\u003c!--"))
  }

  @Test("The rows of heat maps have names")
  func rows() throws {
    let folder = try ReportFolder()
    let loads = RunReport([try folder.run("one")]).html.section("loads")
    // One map of mini-MoEs, one of experts with an image per mini-MoE, one of micro agents.
    #expect(loads.components(separatedBy: "data:image/png;base64,").count == 5)
    for name in [">mini-MoE 0</span>", ">mini-MoE 1</span>", ">expert 0</span>", ">expert 1</span>"] {
      #expect(loads.contains(name), "\(name)")
    }
    #expect(loads.contains("\"mini-MoE 1, expert 0\""))
  }

  @Test("A comparison of several runs lists only the keys that differ")
  func several() throws {
    let folder = try ReportFolder()
    let html = RunReport([try folder.run("one"), try folder.run("two", seed: 7)]).html.section("configuration")
    let differences = try #require(html.components(separatedBy: "<h3>Differences</h3>").dropFirst().first)
      .components(separatedBy: "<details>")[0]
    #expect(
      differences.contains("<table class=\"keys\">") && differences.contains("<td>rl.seed</td><td>0</td><td>7</td>"))
    #expect(differences.components(separatedBy: "<tr>").count == 3)
  }

  @Test("A single run shows the keys that differ from the defaults")
  func ownKeys() throws {
    let folder = try ReportFolder()
    let html = RunReport([try folder.run("one", seed: 7)]).html.section("configuration")
    let own = html.components(separatedBy: "<details>")[0]
    #expect(own.contains("<td>rl.seed</td><td>7</td><td>0</td>") && !own.contains("rl.batch_size"))
  }

  @Test("A directory that is not a run gives an error with its path")
  func missing() throws {
    let folder = try ReportFolder()
    let error = #expect(throws: ReportError.self) { try RunContent(path: folder.url.path) }
    #expect(error?.path == folder.url.path)
  }

  @Test(
    "A heat map is a valid PNG: signature, size, palette, checksum of every chunk, and values from the first pixel")
  func heatMap() {
    let png = HeatMap(values: (0..<3).map { row in (0..<500).map { Double($0 % (row + 2)) } }, highest: 3).png
    #expect(png.prefix(8) == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
    var place = 8
    var names: [String] = []
    func number(_ at: Int) -> Int { png[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } }
    while place < png.count {
      let length = number(place)
      names.append(String(decoding: png[place + 4..<place + 8], as: UTF8.self))
      var crc: UInt32 = 0xFFFF_FFFF
      for byte in png[place + 4..<place + 8 + length] {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
      }
      #expect(number(place + 8 + length) == Int(~crc))
      place += 12 + length
    }
    #expect(names == ["IHDR", "PLTE", "IDAT", "IEND"])
    // 500 columns are averaged in threes.
    #expect(number(16) == 167 && number(20) == 3)
    // Row 0 has 0, 1, 0 and 1, 0, 1 in turn: a third and two thirds of 1, of 3 at most.
    let first = HeatMap.firstPixel + 1
    #expect(Array(png[first..<first + 2]) == [28, 57])
  }
}
