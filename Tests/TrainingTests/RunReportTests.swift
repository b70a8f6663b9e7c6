import Foundation
import Rollouts
import Testing
import Training

@Suite("The HTML report") struct RunReportTests {
  /// A run directory with the given lines; the last line of metrics is unfinished.
  private func run(_ parent: URL, _ name: String, seed: Int) throws -> RunContent {
    var configuration = RunConfiguration()
    configuration.rl.seed = UInt64(seed)
    let directory = try RunDirectory.create(parent: parent.path, name: name, configuration: configuration)
    var metrics = "{\"format\":\"quillan-metrics\",\"version\":1}\n"
    for step in 1...30 {
      metrics +=
        "{\"entropy\":\(Double(step) / 10),\"eval/exact_match\":\(step == 30 ? 0.75 : 0.25),"
        + "\"loads\":{\"experts\":[[1,3],[2,2]],\"mini_moes\":[[4,\(step)]],\"micro_agents_used\":[0.5,1]},"
        + "\"loss\":null,\"reward\":\(0.01 * Double(step)),\"step\":\(step)}\n"
    }
    try Data((metrics + "{\"step\":31,\"rew").utf8).write(to: URL(fileURLWithPath: directory.metrics))
    let samples = """
      {"format":"quillan-samples","version":1}
      {"step":10,"prompt":"1 < 2 & \\"x\\"?","completion":"<script>","answer":"y","reward":0.5,"tokens":["<scr","ipt>"],"logprobs":[-0.1,-3.5]}
      {"step":20,"prompt":"p","completion":"unseen","answer":null,"reward":null}

      """
    try Data(samples.utf8).write(to: URL(fileURLWithPath: directory.samples))
    let alarms = """
      {"format":"quillan-alarms","version":1}
      {"step":25,"since":17,"name":"entropy_collapse","message":"entropy is gone"}

      """
    try Data(alarms.utf8).write(to: URL(fileURLWithPath: directory.alarms))
    return try RunContent(path: directory.path)
  }

  private func inFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("report-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  @Test("One page holds curves, evaluations, alarms, loads, samples and configuration, and loads nothing")
  func whole() throws {
    try inFolder { folder in
      let html = RunReport([try run(folder, "one", seed: 0)]).html
      for heading in [
        "Overview", "Curves", "Evaluations", "Alarms", "Loads of the council", "Sample completions", "Configuration",
      ] {
        #expect(html.contains("<h2>\(heading)</h2>"), "\(heading)")
      }
      #expect(html.contains("0.250 → 0.750"))
      #expect(html.contains("<td>17</td><td>entropy collapse</td><td>entropy is gone</td>"))
      // Nothing is fetched: the only addresses are data and the name space of SVG.
      let stripped = html.replacing("http://www.w3.org/2000/svg", with: "")
      #expect(!stripped.contains("http") && !stripped.contains("<script") && !stripped.contains("url("))
      #expect(html.components(separatedBy: "data:image/png;base64,").count == 4)
      #expect(html.contains("prefers-color-scheme: dark"))
    }
  }

  @Test("Text of prompts and completions is escaped, each token bears its log-probability, no score is no 0")
  func samples() throws {
    try inFolder { folder in
      let html = RunReport([try run(folder, "one", seed: 0)]).html
      #expect(html.contains("1 &lt; 2 &amp; &quot;x&quot;?"))
      #expect(html.contains("title=\"log-probability -3.500, probability 0.030\">ipt&gt;</span>"))
      #expect(html.contains("unscored") && !html.contains("Differences"))
    }
  }

  @Test("Several runs share each chart, and only their differing keys are differences")
  func several() throws {
    try inFolder { folder in
      let html = RunReport([try run(folder, "one", seed: 0), try run(folder, "two", seed: 7)]).html
      #expect(html.contains("<h3>Differences</h3>"))
      let differences = html.components(separatedBy: "<h3>Differences</h3>")[1].components(separatedBy: "<details>")[0]
      #expect(differences.contains("rl.seed") && differences.contains("<td>7</td>"))
      #expect(differences.components(separatedBy: "<tr>").count == 3)
    }
  }

  @Test("What is no run is an error with its path")
  func missing() throws {
    try inFolder { folder in
      let error = #expect(throws: ReportError.self) { try RunContent(path: folder.path) }
      #expect(error?.path == folder.path)
    }
  }

  @Test("A heat map is a whole PNG: signature, size, and checksums of every chunk")
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
    #expect(names == ["IHDR", "IDAT", "IEND"])
    // 500 columns are averaged in threes.
    #expect(number(16) == 167 && number(20) == 3)
  }
}
