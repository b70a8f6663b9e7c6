import Foundation
import TestSupport
import Testing

@Suite("Export", .serialized)
struct ExportTests {
  static let weights = Fixtures.url("golden/quantised.weights.safetensors").path
  static let configuration = Fixtures.url("golden/quantised.json").path

  private func data(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  @Test("Exporting an export again gives the same bytes", arguments: ["fp32", "bf16", "packed"])
  func again(type: String) throws {
    let folder = try TemporaryFolder()
    let first = try Program.run(
      "export", "safetensors", Self.weights, "--config", Self.configuration, "--type", type, "-o", folder.path("a"))
    #expect(first.status == 0, "\(first.errors)")
    let second = try Program.run("export", "safetensors", folder.path("a"), "--type", type, "-o", folder.path("b"))
    #expect(second.status == 0, "\(second.errors)")
    for name in ["model.safetensors", "config.json"] {
      #expect(try data(folder.path("a/\(name)")) == data(folder.path("b/\(name)")))
    }
    let contents = try SafetensorsContent(folder.url.appendingPathComponent("a/model.safetensors")).tensors
    let masters = try SafetensorsContent(URL(fileURLWithPath: Self.weights)).tensors
    if type == "fp32" { #expect(contents == masters) }
    if type == "packed" {
      #expect(contents["mini_moes.0.experts.up.weight.codes"]?.shape == [4, 128, 32])
      #expect(contents["layers.0.attention.qkv.weight.codes"]?.shape == [192, 16])
      #expect(contents["mini_moes.0.agents.up.weight.codes"]?.type == "I8")
      #expect(contents["embedding.weight"]?.type == "BF16")
    }
  }

  @Test("Exported codes pack to the same file as the weights")
  func packed() throws {
    let folder = try TemporaryFolder()
    _ = try Program.run(
      "export", "safetensors", Self.weights, "--config", Self.configuration, "--type", "packed", "-o", folder.path("a"))
    let one = try Program.run("quantize", folder.path("a"), "-o", folder.path("one"))
    let two = try Program.run("quantize", Self.weights, "--config", Self.configuration, "-o", folder.path("two"))
    #expect(one.status == 0 && two.status == 0, "\(one.errors)")
    #expect(try data(folder.path("one")) == data(folder.path("two")))
  }

  @Test("export onnx writes both storage types, and rejects weights that the model lacks")
  func onnx() throws {
    let folder = try TemporaryFolder()
    for (name, arguments) in [
      ("a", []), ("b", ["--type", "fp32"]), ("c", ["--set", "model.use_bit_diffusion=false"]),
    ] {
      // The model without diffusion lacks some tensors of these weights.
      let outcome = try Program.execute(
        [Program.path, "export", "onnx", Self.weights, "--config", Self.configuration, "-o", folder.path(name)]
          + arguments)
      #expect(outcome.status == (name == "c" ? 3 : 0), "\(outcome.errors)")
      if name == "c" { continue }
      for file in ["model.onnx", "diffusion.onnx", "config.json"] {
        #expect(outcome.output.contains("\(folder.path(name))/\(file)"))
        #expect(try data(folder.path("\(name)/\(file)")).count > 500)
      }
    }
    let again = try Program.run(
      "export", "onnx", Self.weights, "--config", Self.configuration, "-o", folder.path("d"))
    #expect(again.status == 0)
    #expect(try data(folder.path("a/model.onnx")) == data(folder.path("d/model.onnx")))
  }

  @Test("Decoded arrays are within half a scale of the input, and damaged inputs are rejected")
  func bits() throws {
    let folder = try TemporaryFolder()
    let values = (0..<60).map { Float(sin(Double($0) * 0.7)) * Float($0 % 7) }
    var npy = Data([0x93] + Array("NUMPY".utf8) + [1, 0])
    let header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), }".padding(
        toLength: 117, withPad: " ", startingAt: 0) + "\n"
    npy.append(contentsOf: [UInt8(header.utf8.count), 0] + Array(header.utf8))
    values.withUnsafeBytes { npy.append(contentsOf: $0) }
    let input = try folder.write("in.npy", npy)
    for bits in [1, 2, 4, 8] {
      for scaling in [[], ["--per-tensor"]] {
        let encoded = try Program.execute(
          [Program.path, "bits", "encode", input, "--force", "-o", folder.path("bits"), "--bits", "\(bits)"] + scaling)
        #expect(encoded.status == 0, "\(encoded.errors)")
        let decoded = try Program.run(
          "bits", "decode", folder.path("bits"), "--force", "-o", folder.path("out.npy"))
        #expect(decoded.status == 0, "\(decoded.errors)")
        let out = try data(folder.path("out.npy"))
        #expect(out.count == npy.count)
        let back = out.suffix(240).withUnsafeBytes { bytes in
          (0..<60).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
        guard bits > 1 else { continue }
        let contents = try SafetensorsContent(folder.url.appendingPathComponent("bits")).tensors
        let scales = try #require(contents["scales"]).bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        for index in 0..<60 {
          let scale = scaling.isEmpty ? scales[index / 5] : scales[0]
          #expect(abs(back[index] - values[index]) <= scale * 0.5001)
        }
      }
    }
    for (status, bytes) in [(Int32(3), npy.dropLast()), (3, Data("no array".utf8)), (3, npy.prefix(20))] {
      let bad = try folder.write("bad.npy", Data(bytes))
      let outcome = try Program.run("bits", "encode", bad, "-o", folder.path("never"))
      #expect(outcome.status == status && outcome.messages.count == 1, "\(outcome.errors)")
    }
    #expect(try Program.run("bits", "decode", input, "-o", folder.path("never")).status == 3)
    var newer = try Data(contentsOf: folder.url.appendingPathComponent("bits"))
    let version = try #require(newer.range(of: Data("\"version\":\"1\"".utf8)))
    newer.replaceSubrange(version, with: Data("\"version\":\"2\"".utf8))
    let refused = try Program.run("bits", "decode", folder.write("newer", newer), "-o", folder.path("never"))
    #expect(refused.status == 3 && refused.messages.count == 1, "\(refused.errors)")
    #expect(try !folder.names.contains("never"))
  }
}
