import Formats
import Foundation
import Errors
import Configuration
import Learning
import Reports
import Rollouts
import Testing

/// A directory that is removed at the end of a test.
private func withDirectory(_ body: (String) throws -> Void) throws {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-\(UUID().uuidString)").path
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: path) }
  try body(path)
}

private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

@Suite struct ReportingTests {
  @Test("Metrics have a header, sorted keys, exact numbers, and null for non-finite values")
  func metrics() throws {
    try withDirectory { directory in
      let path = directory + "/metrics.jsonl"
      let writer = try MetricsWriter(path: path)
      try writer.write(step: 1, ["reward": 0.1, "clip_ratio/low": .number(.nan), "load": .list([1, 2])])
      #expect(
        try text(path) == """
          {"format":"quillan-metrics","version":1}
          {"clip_ratio/low":null,"load":[1,2],"reward":0.1,"step":1}

          """)
    }
  }

  @Test("A continued metrics file loses only an incomplete last line")
  func continuedMetrics() throws {
    try withDirectory { directory in
      let path = directory + "/metrics.jsonl"
      try MetricsWriter(path: path).write(step: 1, ["long": .text(String(repeating: "x", count: 9000))])
      let whole = try text(path)
      try (whole + "{\"step\":2,\"rew" + String(repeating: "y", count: 9000)).write(
        toFile: path, atomically: false, encoding: .utf8)
      try MetricsWriter(path: path).write(step: 2, [:])
      #expect(try text(path) == whole + "{\"step\":2}\n")
    }
  }

  @Test("A full disk and a missing directory give an error with path, cause and remedy")
  func writeFaults() {
    #expect(
      throws: ReportError(
        path: "/dev/full", problem: "cannot write: No space left on device", remedy: "free space on the disk")
    ) { try MetricsWriter(path: "/dev/full") }
    #expect(throws: ReportError.self) { try AtomicFile.write("x", to: "/nonexistent/directory/file") }
  }

  @Test("Text of any kind survives JSON")
  func jsonText() throws {
    let value = "quote \" slash \\ tab \t line \n bell \u{7} null \u{0} ümläut 🦔 \u{2028}"
    let data = Data(JSONValue.object(["key": .text(value)]).serialized.utf8)
    #expect(try JSONDecoder().decode([String: String].self, from: data) == ["key": value])
    #expect(!JSONValue.text(value).serialized.contains("\n"))
  }

  @Test("Samples contain their rewards by name")
  func samples() throws {
    try withDirectory { directory in
      let path = directory + "/samples.jsonl"
      let writer = try SamplesWriter(path: path)
      let sample = CompletionSample(
        prompt: "1+2=", completion: "3", answer: "3", reward: 1, rewards: ["exact_match": 1])
      try writer.write(step: 5, sample)
      let line =
        "{\"answer\":\"3\",\"completion\":\"3\",\"prompt\":\"1+2=\",\"reward\":1.0,\"rewards\":{\"exact_match\":1.0},\"step\":5}"
      #expect(try text(path) == "{\"format\":\"quillan-samples\",\"version\":1}\n\(line)\n")
    }
  }

  @Test("An atomic write replaces the old file and leaves no temporary file, even if it fails")
  func atomicFile() throws {
    try withDirectory { directory in
      try AtomicFile.write("old", to: directory + "/file")
      try AtomicFile.write("new", to: directory + "/file")
      #expect(try text(directory + "/file") == "new")
      try FileManager.default.createDirectory(
        atPath: directory + "/taken/inside", withIntermediateDirectories: true)
      #expect(throws: ReportError.self) { try AtomicFile.write("x", to: directory + "/taken") }
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory).sorted() == ["file", "taken"])
    }
  }

  @Test("A run with an existing name gets the next free name")
  func runDirectory() throws {
    try withDirectory { directory in
      let parent = directory + "/deep/runs"
      let configuration = RunConfiguration()
      let first = try RunDirectory.create(parent: parent, name: "a", configuration: configuration)
      let second = try RunDirectory.create(parent: parent, name: "a", configuration: configuration)
      #expect(first.path == parent + "/a")
      #expect(second.path == parent + "/a-2")
      #expect(try RunConfiguration.load(path: second.configuration) == configuration)
      #expect(try RunDirectory.open(first.path) == first)
      #expect(throws: ReportError.self) { try RunDirectory.open(parent) }
      for name in ["", ".", "..", "a/b"] {
        #expect(throws: ReportError.self) {
          try RunDirectory.create(parent: parent, name: name, configuration: configuration)
        }
      }
      try AtomicFile.write("x", to: directory + "/file")
      #expect(throws: ReportError.self) {
        try RunDirectory.create(parent: directory + "/file", name: "a", configuration: configuration)
      }
    }
  }

  @Test("Without a terminal, progress has a line at the first, every n-th and the last step")
  func plainProgress() {
    var output = ""
    let reporter = ProgressReporter(title: "train", total: 25, every: 10, isTerminal: false, width: 80) {
      output += $0
    }
    for step in 1...25 {
      reporter.report(
        step: step, elapsed: Double(step) * 6,
        .init(reward: 0.5, entropy: 1.25, divergence: 0, tokensPerSecond: 12345.6))
    }
    reporter.finish()
    #expect(
      output == """
        train  1/25  reward 0.500  entropy 1.250  KL 0.0000  12,346 tokens/s  2m24s left
        train 10/25  reward 0.500  entropy 1.250  KL 0.0000  12,346 tokens/s  1m30s left
        train 20/25  reward 0.500  entropy 1.250  KL 0.0000  12,346 tokens/s  30s left
        train 25/25  reward 0.500  entropy 1.250  KL 0.0000  12,346 tokens/s  0s left

        """)
  }

  @Test("On a terminal, progress is one updating line within the width, with notes above it")
  func terminalProgress() {
    var output = ""
    let reporter = ProgressReporter(title: "train", total: 9, every: 10, isTerminal: true, width: 24) { output += $0 }
    reporter.report(step: 1, elapsed: 1, .init(loss: .nan))
    reporter.note("note")
    reporter.report(step: 2, elapsed: 2, .init(loss: 1))
    reporter.finish()
    #expect(
      output == "\r\u{1B}[Ktrain 1/9  loss nan  8s\r\u{1B}[Knote\n\r\u{1B}[Ktrain 2/9  loss 1.000  \n")
  }

  @Test("A table aligns words left and numbers right, without trailing spaces")
  func table() {
    var table = Table(["part", "count"])
    table.add(["embedding", "25,731,584"])
    table.add(["head", "0"])
    #expect(
      table.text == """
        part            count
        ---------  ----------
        embedding  25,731,584
        head                0

        """)
  }

  @Test("Formatted numbers do not depend on the locale")
  func figures() {
    #expect(FigureText.grouped(511_500_289) == "511,500,289")
    #expect(FigureText.grouped(-1000) == "-1,000")
    #expect(FigureText.grouped(Int.min) == "-9,223,372,036,854,775,808")
    #expect(FigureText.grouped(Double.nan) == "nan")
    #expect(
      [0, 59.4, 185, 7620, 273_600, .nan, -1].map(FigureText.duration) == [
        "0s", "59s", "3m05s", "2h07m", "3d04h", "?", "?",
      ])
    #expect(FigureText.bytes(1000) == "1000 B")
    #expect(FigureText.bytes(51_463_168) == "49.1 MiB")
  }
}
