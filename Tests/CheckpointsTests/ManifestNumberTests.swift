import Checkpoints
import Formats
import Foundation
import Testing

/// Invalid numbers in files with correct hashes.
@Suite("Numbers in manifests")
struct ManifestNumberTests {
  private func saved() throws -> (MemoryFiles, Manifest) {
    let files = MemoryFiles()
    let path = try TinyCheckpoint(seed: 3).save(to: CheckpointStore(path: "c", files: files), step: 1, files: files)
    return (files, try CheckpointReader(path, files: files).manifest)
  }

  @Test("A number beyond its limit is refused, and the message has the limit")
  func numbers() throws {
    let manifest = try saved().1
    func refusal(_ change: (inout Manifest) -> Void) -> String {
      var changed = manifest
      change(&changed)
      do {
        _ = try Manifest(text: changed.text(), path: "m")
        return "accepted"
      } catch { return "\(error)" }
    }
    #expect(refusal { _ in } == "accepted")
    for value in [Int.max, 1 << 40 + 1] {
      #expect(
        refusal { $0.counters["data.cursor"] = value }.contains(
          "'data.cursor' is \(value); the maximum is 1099511627776"))
      #expect(refusal { $0.step = value }.contains("'step' is \(value)"))
    }
    #expect(refusal { $0.counters["data.cursor"] = 1 << 40 } == "accepted")
    for value in [0, 1 << 20 + 1, Int.max] { #expect(refusal { $0.ranks = value }.contains("'ranks' is \(value)")) }
    for value in [0, 3, Int.max] {
      #expect(refusal { $0.expertParallel = value }.contains("'expert_parallel' is \(value)"))
    }
    for value in [5, Int.max] { #expect(refusal { $0.expertFiles = value }.contains("'expert_files' is \(value)")) }
    #expect(refusal { $0.tensors[0].slices[0].part = 3 }.contains("part 3 of 2 ranks"))
    // Zeros take no bytes in a file, whatever number of them a manifest claims.
    func zeros(_ count: Int, _ name: String) -> Manifest.Tensor {
      var tensor = manifest.tensors[0]
      tensor.key = TensorKey(name, .master)
      tensor.type = .float32
      tensor.shape = [count]
      tensor.slices = [tensor.slices[0]]
      tensor.slices[0].range = 0..<count
      tensor.slices[0].part = 0
      tensor.slices[0].file = 0
      tensor.slices[0].offset = Shard.header.count
      tensor.slices[0].bytes = 0
      tensor.slices[0].encoding = .zeros
      return tensor
    }
    #expect(refusal { $0.tensors += [zeros(1 << 40, "zz")] } == "accepted")
    #expect(refusal { $0.tensors += [zeros(1 << 46, "zz")] }.contains("bytes in total"))
    #expect(refusal { $0.tensors += (0..<9).map { zeros(1 << 45, "zz\($0)") } }.contains("bytes in total"))
    #expect(refusal { $0.tensors += [zeros(1 << 61, "zz")] }.contains("impossible"))
  }

  @Test("Every reader refuses masters that are not finite", arguments: [Float.nan, .infinity])
  func notFinite(value: Float) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var tiny = TinyCheckpoint(seed: 4)
    let index = try #require(tiny.pieces.firstIndex { $0.key == TensorKey("final_norm.weight", .master) })
    tiny.pieces[index] = TensorPiece(
      TensorKey("final_norm.weight", .master), .float32, [5], elements: [1, 2, value, 4, 5])
    let path = try tiny.save(
      to: CheckpointStore(path: "\(folder)/checkpoints"), step: 1, files: SystemFiles())
    let reader = try CheckpointReader(path)
    func refusal(_ body: () throws -> Void) -> String {
      do {
        try body()
        return "accepted"
      } catch {
        #expect((error as? CheckpointError)?.code == .notFinite)
        return "\(error)"
      }
    }
    let key = TensorKey("final_norm.weight", .master)
    let room = TensorPiece(key, .float32, [5], elements: [Float](repeating: 0, count: 5))
    let target = "\(folder)/target"
    let refusals = [
      refusal { _ = try CheckpointVerification(reader, threads: 2) },
      refusal { try reader.read([room], threads: 1) },
      refusal { _ = try reader.array(key, .float32, of: Float.self) },
      refusal { try CheckpointConversion(expertFiles: 0).convert(reader, to: target) },
      refusal { try CheckpointConversion(weightsOnly: true).convert(reader, to: target) },
      refusal { try SafetensorsConversion.export(reader, to: target) },
    ]
    for line in refusals { #expect(line.contains("'final_norm.weight': element 2 is not finite"), "\(line)") }
    let source = "\(folder)/source.safetensors"
    try SafetensorsWriter.write(
      path: source, tensors: [SafetensorsTensor(name: "a", shape: [2], floats: [1, value])])
    let manifest = Manifest(
      program: "0", phase: "weights", step: 0, ranks: 1, expertParallel: 1, expertFiles: 1, counters: [:],
      configuration: "")
    let line = refusal {
      try SafetensorsConversion.load(
        source, [SafetensorsConversion.Wanted(name: "a", shape: [2], sources: ["a"])], as: manifest, to: target)
    }
    #expect(line.contains("'a': element 1 is not finite"))
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    #expect(names.sorted() == ["checkpoints", "source.safetensors"])
  }
}
