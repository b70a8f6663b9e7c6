import Foundation
import Reports
import SwiftProtobuf
import Testing

@Suite struct TensorBoardWriterTests {
  /// The events of a file, after checking both checksums of every record.
  private static func events(_ file: URL) throws -> [TensorBoardEvent] {
    let bytes = Array(try Data(contentsOf: file))
    var events: [TensorBoardEvent] = []
    var start = 0
    while start < bytes.count {
      let length = bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
      let record = Array(bytes[start..<start + 16 + length])
      let data = Array(record[12..<12 + length])
      #expect(RecordFraming.record(data) == record)
      events.append(try TensorBoardEvent(serializedBytes: data))
      start += record.count
    }
    return events
  }

  private static func withFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  @Test("Scalars, histograms and texts are read back as written")
  func writes() throws {
    try Self.withFolder { folder in
      let writer = try TensorBoardWriter(directory: folder.appendingPathComponent("a/b"), clock: { 1234.5 })
      try writer.scalar("loss", value: 0.25, step: 3)
      try writer.histogram("reward", values: [0, 0.5, 1, 1, .nan], step: 4)
      try writer.histogram("nothing", values: [.nan], step: 4)
      try writer.text("sample", "47+38=85 ✓", step: 5)
      try writer.flush()
      let events = try Self.events(writer.file)
      #expect(events.count == 4)
      #expect(events.allSatisfy { $0.wallTime == 1234.5 })
      #expect(events.map(\.step) == [0, 3, 4, 5])
      #expect(events[0].fileVersion == "brain.Event:2")
      #expect(events[1].summary.value[0].tag == "loss")
      #expect(events[1].summary.value[0].simpleValue == 0.25)
      let histogram = events[2].summary.value[0].histo
      #expect(histogram.num == 4)
      #expect(histogram.sum == 2.5)
      #expect(histogram.sumSquares == 2.25)
      let text = events[3].summary.value[0]
      #expect(text.metadata.pluginData.pluginName == "text")
      #expect(text.tensor.dtype == .dtString)
      #expect(text.tensor.stringVal == [Data("47+38=85 ✓".utf8)])
      #expect(writer.file.lastPathComponent.hasPrefix("events.out.tfevents.0000001234."))
    }
  }

  @Test("A histogram counts every finite value once, below its limit")
  func buckets() throws {
    for values in [[0, 0.5, 1, 1], [-3, 7, 2.25, 2.25, 6.999], [1e-300, 2e-300], [-1e308, 1e308, 0]] as [[Double]] {
      let histogram = try #require(HistogramBuckets.histogram(values + [.infinity]))
      #expect(histogram.bucket.reduce(0, +) == Double(values.count))
      #expect(histogram.bucket.count == histogram.bucketLimit.count)
      #expect(histogram.bucketLimit == histogram.bucketLimit.sorted())
      #expect(histogram.bucketLimit.last == values.max())
      #expect(histogram.min == values.min())
    }
    let single = try #require(HistogramBuckets.histogram([2, 2]))
    #expect(single.bucketLimit == [2])
    #expect(single.bucket == [2])
  }

  @Test("The buffer is written before a flush if it is full, and two writers use different files")
  func buffering() throws {
    try Self.withFolder { folder in
      let writer = try TensorBoardWriter(directory: folder, clock: { 7 })
      let other = try TensorBoardWriter(directory: folder, resumedAt: 40, clock: { 7 })
      #expect(writer.file != other.file)
      for step in 0..<3000 { try writer.scalar("loss", value: Double(step), step: Int64(step)) }
      #expect(try Data(contentsOf: writer.file).count > 1 << 16)
      try writer.flush()
      #expect(try Self.events(writer.file).dropFirst().map(\.step) == (0..<3000).map { Int64($0) })
      let start = try Self.events(other.file)[1]
      #expect(start.step == 40)
      #expect(start.sessionLog.status == .start)
    }
  }

  @Test("A directory that cannot be created gives an error")
  func unwritable() throws {
    try Self.withFolder { folder in
      try Data().write(to: folder)
      let error = #expect(throws: TensorBoardError.self) {
        try TensorBoardWriter(directory: folder.appendingPathComponent("tensorboard"))
      }
      #expect(error?.description.contains("cannot create an event file") == true)
    }
  }
}
