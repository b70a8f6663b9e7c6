import Foundation
import TestSupport
import Testing

@Suite("Quantize", .serialized)
struct QuantizeTests {
  static let weights = Fixtures.url("golden/quantised.weights.safetensors").path
  static let configuration = Fixtures.url("golden/quantised.json").path

  @Test("Packing in the configured formats prints the file, and other formats the error of every tensor")
  func formats() throws {
    let folder = try TemporaryFolder()
    let plain = try Program.run(
      "quantize", Self.weights, "--config", Self.configuration, "-o", folder.path("a.qpk"))
    #expect(plain.status == 0, "\(plain.errors)")
    #expect(plain.output.hasPrefix(folder.path("a.qpk")) && !plain.output.contains("relative error"))
    let changed = try Program.run(
      "quantize", Self.weights, "--config", Self.configuration, "-o", folder.path("b.qpk"), "--set",
      "precision.experts=ternary")
    #expect(changed.status == 0, "\(changed.errors)")
    #expect(changed.output.contains("mini_moes.*.experts.up.weight"))
    #expect(try folder.names == ["a.qpk", "b.qpk"])
  }

  @Test("Converting a packed model to the other layout and back gives the same bytes")
  func layouts() throws {
    let folder = try TemporaryFolder()
    _ = try Program.run("quantize", Self.weights, "--config", Self.configuration, "-o", folder.path("a"))
    let mapped = try Program.run("quantize", folder.path("a"), "-o", folder.path("b"), "--layout", "mapped")
    #expect(mapped.status == 0, "\(mapped.errors)")
    let back = try Program.run("quantize", folder.path("b"), "-o", folder.path("c"))
    #expect(back.status == 0, "\(back.errors)")
    let url = folder.url
    #expect(
      try Data(contentsOf: url.appendingPathComponent("a")) == Data(contentsOf: url.appendingPathComponent("c")))
  }

  @Test("Invalid input gives one line, an exit code, and no file")
  func refusals() throws {
    let folder = try TemporaryFolder()
    let out = folder.path("out")
    _ = try Program.run("quantize", Self.weights, "--config", Self.configuration, "-o", folder.path("good"))
    var bytes = try Data(contentsOf: folder.url.appendingPathComponent("good"))
    bytes[bytes.count / 2] ^= 4
    let damaged = try folder.write("damaged", bytes)
    let cases: [(Int32, [String])] = [
      (1, [folder.path("absent")]),
      (1, [Self.weights]),
      (2, [Self.weights, "--config", Self.configuration, "--set", "model.dim=63"]),
      (3, [Self.weights, "--config", Self.configuration, "--set", "model.num_layers=3"]),
      (2, [Self.weights, "--config", Self.configuration, "--set", "precision.experts=int5"]),
      (3, [damaged]),
      (1, [folder.path("good"), "--set", "precision.experts=int8"]),
      (3, [try folder.write("text", Data("nothing".utf8)), "--config", Self.configuration]),
    ]
    for (status, arguments) in cases {
      let outcome = try Program.execute([Program.path, "quantize"] + arguments + ["-o", out])
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      #expect(outcome.messages.count == 1 && outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
      #expect(!FileManager.default.fileExists(atPath: out))
    }
    let nowhere = try Program.run("quantize", folder.path("good"), "-o", folder.path("absent/model"))
    #expect(nowhere.status == 1 && nowhere.messages.count == 1)
  }
}
