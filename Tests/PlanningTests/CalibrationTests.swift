import Configuration
import Formats
import Foundation
import Planning
import Rollouts
import Testing

@Suite struct CalibrationTests {
  @Test("A calibration recovers the rates of the machine from benchmark results")
  func calibration() throws {
    let configuration = PlanFixture.configuration()
    let parameters = try PlanFixture.parameters(configuration)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("plan-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func row(_ name: String, _ seconds: Double, _ more: [String: JSONValue] = [:]) -> JSONValue {
      .object(["operation": .text(name), "seconds": .number(seconds)].merging(more) { $1 })
    }
    let yaml = JSONValue.text(configuration.yaml())
    // 24 tokens of which the last 16 of a sequence are predicted; two threads.
    let training = ModelWork(configuration, positions: 12.5).training(predicted: 16.0 / 24, recomputed: false)
    let weights = 9 * Double(parameters.storeCount)
    let train = JSONValue.object([
      "ranks": 1, "threads": 2, "tokens": 48, "sequence_length": 24, "configuration": yaml,
      "rows": .list([
        row("training step", 1),
        row("  forward and backward", 48 * training / 5e6 / 2 + weights / 7e6 / 2),
        row("  reduction and norm", 1), row("  optimizer and packing", Double(parameters.storeCount) / 3e6 / 2),
      ]),
    ])
    let memory = JSONValue.object([
      "threads": 2, "rows": .list([row("fixed-point addition", 1, ["rate": .number(14e6)])]),
    ])
    let work = ModelWork(configuration, positions: 6 + 2).sampling
    let bytes = DecodingBytes(configuration, parameters)
    let decode = JSONValue.object([
      "threads": 1, "prompt_length": 6, "tokens": 4, "configuration": yaml,
      "rows": .list(
        [1, 4, 16].map { batch in
          row("decode, batch \(batch)", 4 * (Double(batch) * work / 8e6 + bytes.bytes(batch: batch) / 2e6))
        }),
    ])
    let messages = JSONValue.object([
      "ranks": 2, "library": "MPI",
      "rows": .list([
        .object(["bytes": 1024, "wrapper_seconds": .number(4e-6)]),
        .object(["bytes": 1_000_000, "wrapper_seconds": .number(1e-3)]),
      ]),
    ])
    let path = folder.appendingPathComponent("all.json").path
    let lines = [memory, train, decode, messages].map { $0.serialized + "\n" }.joined()
    try lines.write(toFile: path, atomically: true, encoding: .utf8)
    let result = try Calibration(paths: [path])
    func close(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 1e-6 * expected }
    #expect(close(result.memory, 7e6))
    #expect(close(result.training, 5e6), "\(result.training)")
    #expect(close(result.update, 3e6))
    #expect(close(result.sampling, 8e6) && close(result.decoding, 2e6), "\(result.sampling), \(result.decoding)")
    #expect(close(result.messages, 2e9) && close(result.messageLatency, 2e-6))
    #expect(result.measured.count == 4 && result.assumed.isEmpty)
    #expect(try Calibration(paths: []).assumed.count == 4)
    try "{\"rows\":[]}\n".write(toFile: path, atomically: true, encoding: .utf8)
    let error = #expect(throws: DataError.self) { try Calibration(paths: [path]) }
    #expect(error?.line == 1)
  }

  @Test(
    "Benchmark results from which no rate can be computed are rejected",
    arguments: [
      #"{"ranks":9223372036854775807,"library":"m","rows":[{"bytes":8,"wrapper_seconds":1},{"bytes":8,"wrapper_seconds":1}]}"#,
      #"{"ranks":2,"library":"m","rows":[{"bytes":8,"wrapper_seconds":0},{"bytes":8,"wrapper_seconds":0}]}"#,
      #"{"ranks":2,"library":"m","rows":[{"bytes":1e308,"wrapper_seconds":1e-300},{"bytes":1e308,"wrapper_seconds":1e-308}]}"#,
      #"{"threads":1,"rows":[{"operation":"fixed-point addition","rate":0}]}"#,
      #"{"threads":0,"rows":[{"operation":"fixed-point addition","rate":1}]}"#,
      #"{"threads":1,"tokens":9223372036854775807,"prompt_length":8,"configuration":"model: {dim: 32}","#
        + #""rows":[{"operation":"decode, batch 4","seconds":1}]}"#,
      #"{"threads":1,"tokens":64,"prompt_length":8,"configuration":"model: {dim: 32}","#
        + #""rows":[{"operation":"decode, batch 9223372036854775807","seconds":1}]}"#,
      #"{"threads":1,"tokens":64,"prompt_length":8,"configuration":"model: {dim: 32}","#
        + #""rows":[{"operation":"decode, batch -4","seconds":1}]}"#,
      #"{"ranks":1,"threads":1,"tokens":64,"sequence_length":9223372036854775807,"configuration":"model: {dim: 32}","#
        + #""rows":[{"operation":"  forward and backward","seconds":1},{"operation":"  optimizer and packing","seconds":1}]}"#,
    ])
  func refused(text: String) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("bench-\(UUID().uuidString).json").path
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = #expect(throws: DataError.self) { try Calibration(paths: [path]) }
    #expect(error?.file == path)
  }
}
