import Formats
import Diagnostics
import Exports
import Foundation
import Parallelism
import Tensors
import Testing
import TestSupport
import TrainingSupport

/// Serialized, since the instruction set is selected for the whole process. All sets give the same bits, so concurrent suites
/// are not affected. If `QUILLAN_ISA` is set, the tests keep that set.
@Suite(.serialized) struct GoldenCaseTests {
  private func golden(_ name: String) throws -> GoldenCase {
    try GoldenCase(path: Fixtures.url("golden/\(name).json").path)
  }

  private func topology(_ golden: GoldenCase) throws -> Topology {
    try Topology(world: Ranks.alone(), expert: 1, miniMoEs: golden.model.numMiniMoes)
  }

  private func bytes(_ tensor: SafetensorsTensor) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try tensor.provide { bytes += Array($0) }
    return bytes
  }

  @Test(
    "All tensors, losses and gradients are within tolerance and have the same bits on every instruction set and 1 to 3 threads",
    arguments: ["fp32", "quantised"])
  func everySet(_ name: String) throws {
    let before = Kernels.name
    defer { Kernels.select(before) }
    let golden = try golden(name)
    var first: [String: [UInt8]] = [:]
    let named = ProcessInfo.processInfo.environment["QUILLAN_ISA"]
    for set in named.map({ [$0] }) ?? Kernels.available {
      #expect(Kernels.select(set))
      for threads in set == before ? [1, 2, 3] : [2] {
        let comparison = try GoldenComparison(golden, topology(golden), Context(threads: threads))
        let failed = comparison.rows.filter { !$0.passed }.map { "\($0.name): \($0.error) > \($0.tolerance)" }
        #expect(failed.isEmpty, "\(set), \(threads) threads: \(failed.prefix(5))")
        #expect(comparison.passed && comparison.rows.count == golden.expected.tensors.count + 6)
        let results = try comparison.results.mapValues(bytes)
        if first.isEmpty { first = results }
        #expect(
          results == first, "\(set), \(threads) threads: \(results.filter { first[$0.key] != $0.value }.keys.sorted())")
      }
    }
  }

  @Test("The comparison computes every expected tensor and all six losses", arguments: ["fp32", "quantised"])
  func complete(_ name: String) throws {
    let golden = try golden(name)
    let comparison = try GoldenComparison(golden, topology(golden), Context(threads: 2))
    for (tensor, entry) in golden.expected.tensors {
      let result = try #require(comparison.results[tensor], "\(tensor)")
      #expect(result.shape == entry.shape && result.dataType == entry.dataType, "\(tensor)")
    }
    for loss in ["total", "policy", "entropy", "aux", "diffusion", "value"] {
      #expect(comparison.results["loss.\(loss)"]?.shape == [])
      #expect(comparison.rows.contains { $0.name == "loss.\(loss)" })
    }
    #expect(Set(golden.expected.tensors.keys.map { $0.hasPrefix("grad.") }) == [true, false])
  }

  @Test("A wrong expected tensor fails the comparison")
  func wrong() throws {
    // Swap one file: the expected tensors of fp32 do not match the quantised weights.
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("golden-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, source) in [
      ("case.json", "fp32.json"), ("case.weights.safetensors", "quantised.weights.safetensors"),
      ("case.expected.safetensors", "fp32.expected.safetensors"),
    ] {
      try Fixtures.data("golden/\(source)").write(to: folder.appendingPathComponent(name))
    }
    let golden = try GoldenCase(path: folder.appendingPathComponent("case.json").path)
    let comparison = try GoldenComparison(golden, topology(golden), Context(threads: 1))
    #expect(!comparison.passed)
  }

  @Test(
    "An invalid case gives an error with file and reason",
    arguments: [
      ("{", "not the description of a case"), (#"{"model": {}}"#, "'precision' is missing"),
      (#"{"model": {"dim": 64, "depth": 3}"# + rest, "model.depth"),
      (#"{"model": {"layers": 2}"# + rest, "model.dim"),
      (#"{"model": {"dim": 64, "num_layers": 2.5}"# + rest, "model.num_layers"),
      (#"{"model": {"dim": 64}"# + rest.replacingOccurrences(of: "fp32", with: "fp8"), "precision.head"),
    ])
  func malformed(_ text: String, _ problem: String) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("golden-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("case.json")
    try Data(text.utf8).write(to: path)
    for part in ["weights", "expected"] {
      try Fixtures.data("golden/fp32.\(part).safetensors")
        .write(to: folder.appendingPathComponent("case.\(part).safetensors"))
    }
    let error = #expect(throws: (any Error).self) { try GoldenCase(path: path.path) }
    let description = error.map { "\($0)" } ?? ""
    #expect(description.contains("case.json") && description.contains(problem), "\(description)")
    #expect(!description.contains("\n"))
  }

  private static let rest =
    #", "precision": {"head": "fp32"}, "objective": {}, "seed": 1, "rewards": [1], "prompt_length": 1, "losses": {}}"#

  @Test("A missing file gives an error with its path")
  func missing() {
    for path in ["/nowhere/case.json", "/nowhere/case.txt"] {
      let error = #expect(throws: GoldenCaseError.self) { try GoldenCase(path: path) }
      #expect(error?.description.contains(path) == true)
    }
  }
}
