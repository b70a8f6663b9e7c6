import Foundation
import Rollouts
import Testing
import Training

@Suite struct CalibrationNumberTests {
  @Test(
    "Results of benchmarks with numbers that no rate follows from are refused",
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
