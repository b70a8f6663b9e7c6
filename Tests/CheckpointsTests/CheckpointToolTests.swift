import Checkpoints
import Formats
import Foundation
import TestSupport
import Testing

/// Tools on whole checkpoints: verify, diff, convert, safetensors.
@Suite("Checkpoint tools")
struct CheckpointToolTests {
  private func saved(_ seed: UInt64 = 11, path: String = "c") throws -> (MemoryFiles, CheckpointReader) {
    let files = MemoryFiles()
    let checkpoint = try TinyCheckpoint(seed: seed).save(
      to: CheckpointStore(path: path, files: files), step: 1, files: files)
    return (files, try CheckpointReader(checkpoint, files: files))
  }

  @Test("Verification reads everything and names a value that is not finite")
  func verify() throws {
    let (_, reader) = try saved()
    let found = try CheckpointVerification(reader, threads: 2)
    #expect(found.tensors == reader.manifest.tensors.count)
    #expect(found.storedBytes == reader.manifest.storedByteCount)

    let files = MemoryFiles()
    var values = [Float](repeating: 0.5, count: 150_000)
    values[140_001] = .nan
    let piece = TensorPiece(TensorKey("x.weight", .master), .float32, [150_000], elements: values)
    let store = CheckpointStore(path: "c", files: files)
    let draft = try store.begin(step: 1)
    let written = try ShardWriter.write([piece], expertFiles: 1, miniMoEs: 1, in: draft, threads: 1, files: files)
    var manifest = TinyCheckpoint.manifest(step: 1)
    try manifest.join(written, expected: nil, path: draft)
    let bad = try CheckpointReader(store.publish(manifest), files: files)
    let error = #expect(throws: CheckpointError.self) { try CheckpointVerification(bad, threads: 1) }
    #expect(error?.code == .notFinite && error?.tensor == "x.weight")
    #expect(error?.problem == "element 140001 is not finite")
  }

  @Test("Equal checkpoints compare as identical in any layout; others differ by tensor and largest element")
  func diff() throws {
    let (files, reader) = try saved()
    try CheckpointConversion(expertFiles: 0).convert(reader, to: "d", files: files)
    let other = try CheckpointReader("d", files: files)
    let none = try CheckpointDifference(reader, other, threads: 2)
    #expect(none.isIdentical && none.tensors == reader.manifest.tensors.count)

    var tiny = TinyCheckpoint(seed: 11)
    let index = try #require(tiny.pieces.firstIndex { $0.key == TensorKey("embedding.weight", .master) })
    var values = Array(tiny.pieces[index].bytes.bindMemory(to: Float.self))
    values[7] += 0.25
    values[30] -= 1
    tiny.pieces[index] = TensorPiece(tiny.pieces[index].key, .float32, [9, 5], elements: values)
    tiny.pieces.removeAll { $0.key.name == "final_norm.weight" && $0.key.kind == .master }
    let path = try tiny.save(to: CheckpointStore(path: "e", files: files), step: 1, files: files)
    let rows = try CheckpointDifference(reader, CheckpointReader(path, files: files), threads: 1).rows
    #expect(rows.map(\.key.description) == ["embedding.weight", "final_norm.weight"])
    #expect(rows[0].count == 2 && rows[0].place == 30)
    #expect(abs((rows[0].largest ?? 0) - 1) < 1e-6)
    #expect(rows[1].problem == "only in A")
  }

  @Test("Converting to another layout and back gives the same bytes")
  func thereAndBack() throws {
    let (files, reader) = try saved()
    let before = files.contents.filter { $0.key.hasPrefix(reader.path) }
    for count in [0, 1, 4] {
      try CheckpointConversion(expertFiles: count).convert(reader, to: "to\(count)", files: files)
      let other = try CheckpointReader("to\(count)", files: files)
      #expect(other.manifest.files.count { $0.name.hasPrefix("experts-") } == count)
      #expect(try TinyCheckpoint.read(other) == TinyCheckpoint.read(reader))
      try CheckpointConversion(expertFiles: 2).convert(other, to: "back\(count)", files: files)
      for (path, bytes) in before {
        #expect(files.contents["back\(count)\(path.dropFirst(reader.path.count))"] == bytes, "\(path) by \(count)")
      }
      #expect(try files.names(in: "to\(count)").count == (count == 0 ? 2 : count + 5))
    }
    let error = #expect(throws: CheckpointError.self) {
      try CheckpointConversion(expertFiles: 9).convert(reader, to: "no", files: files)
    }
    #expect(error?.code == .invalidRequest)
    let taken = #expect(throws: CheckpointError.self) {
      try CheckpointConversion(expertFiles: 1).convert(reader, to: "to1", files: files)
    }
    #expect(taken?.problem.contains("already") == true)
  }

  @Test("A conversion to weights keeps only masters, and damage stops a conversion without a trace")
  func weightsOnly() throws {
    let (files, reader) = try saved()
    try CheckpointConversion(weightsOnly: true).convert(reader, to: "w", files: files)
    let weights = try CheckpointReader("w", files: files)
    #expect(weights.manifest.tensors.allSatisfy { $0.key.kind == .master })
    #expect(weights.manifest.tensors.count == reader.manifest.tensors.count { $0.key.kind == .master })
    let shard = "\(reader.path)/replicated.qck"
    var bytes = try #require(files.contents[shard])
    bytes[40] ^= 1
    files.set(shard, bytes)
    let damaged = try CheckpointReader(reader.path, files: files)
    let error = #expect(throws: CheckpointError.self) {
      try CheckpointConversion(expertFiles: 0).convert(damaged, to: "x", files: files)
    }
    #expect(error?.code == .corrupt && error?.path == shard)
    #expect(files.contents.keys.allSatisfy { !$0.hasPrefix("x/") && !$0.hasPrefix(".x") })
  }

  @Test("Masters convert to safetensors, in one file or several, and back, also with renamed tensors")
  func safetensors() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("quillan-tools-\(UUID().uuidString)")
      .path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (_, reader) = try saved()
    let masters = reader.manifest.tensors.filter { $0.key.kind == .master }
    try SafetensorsConversion.export(reader, to: "\(folder)/one.safetensors")
    try SafetensorsConversion.export(reader, to: "\(folder)/many", largestFile: 200)
    let one = try SafetensorsFile(path: "\(folder)/one.safetensors")
    #expect(Set(one.tensors.keys) == Set(masters.map(\.key.name)))
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/many")
    #expect(names.contains("model.safetensors.index.json") && names.count > 3)

    var wanted = masters.map {
      SafetensorsConversion.Wanted(name: $0.key.name, shape: $0.shape, sources: [$0.key.name])
    }
    var manifest = TinyCheckpoint.manifest(step: 0)
    manifest.phase = "weights"
    for source in ["one.safetensors", "many"] {
      try SafetensorsConversion.load("\(folder)/\(source)", wanted, as: manifest, to: "\(folder)/from-\(source)")
      let back = try CheckpointReader("\(folder)/from-\(source)")
      for tensor in masters {
        #expect(
          try back.array(tensor.key, .float32, of: Float.self) == reader.array(tensor.key, .float32, of: Float.self))
      }
    }
    // Two tensors of another producer, one of them in bf16, form one tensor of this model.
    let halves: [UInt16] = [0x3F80, 0xBF00]
    try SafetensorsWriter.write(
      path: "\(folder)/other.safetensors",
      tensors: [
        SafetensorsTensor(name: "a", shape: [3], floats: [1, 2, 3]),
        SafetensorsTensor(name: "b", dataType: .bfloat16, shape: [2], elements: halves),
      ])
    wanted = [SafetensorsConversion.Wanted(name: "final_norm.weight", shape: [5], sources: ["a", "b"])]
    try SafetensorsConversion.load("\(folder)/other.safetensors", wanted, as: manifest, to: "\(folder)/mapped")
    let mapped = try CheckpointReader("\(folder)/mapped")
    #expect(try mapped.array(TensorKey("final_norm.weight", .master), .float32, of: Float.self) == [1, 2, 3, 1, -0.5])
    wanted[0].sources = ["a", "c"]
    let error = #expect(throws: CheckpointError.self) {
      try SafetensorsConversion.load("\(folder)/other.safetensors", wanted, as: manifest, to: "\(folder)/no")
    }
    #expect(error?.code == .missingTensor && error?.tensor == "c")
    wanted[0].sources = ["a"]
    let short = #expect(throws: CheckpointError.self) {
      try SafetensorsConversion.load("\(folder)/other.safetensors", wanted, as: manifest, to: "\(folder)/no")
    }
    #expect(short?.code == .mismatch)
    #expect(!FileManager.default.fileExists(atPath: "\(folder)/no"))
  }

  @Test("The benchmark finds this project's frames smaller than zstd's")
  func benchmark() throws {
    let rows = try FrameBenchmark.measure(bytes: 1 << 20, threads: 2)
    #expect(rows.count == 9)
    for data in Set(rows.map(\.data)) {
      let own = try #require(rows.first { $0.data == data && $0.method == "quillan" })
      #expect(rows.allSatisfy { $0.data != data || $0.ratio <= own.ratio })
      #expect(own.compression > 0 && own.decompression > 0)
    }
  }
}
