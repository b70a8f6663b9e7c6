import Checkpoints
import Formats
import MPI
import Testing
import TestSupport

/// Saving and loading without faults.
@Suite("Checkpoint store")
struct CheckpointStoreTests {
  private func store() throws -> (MemoryFiles, CheckpointStore) {
    let files = MemoryFiles()
    return (files, CheckpointStore(path: "checkpoints", files: files))
  }

  @Test("A saved checkpoint is read back, has one file per rank and kind, and the same bytes on any number of threads")
  func roundTrip() throws {
    let (files, store) = try store()
    let tiny = TinyCheckpoint(seed: 1)
    let path = try tiny.save(to: store, step: 100, files: files)
    #expect(path == "checkpoints/step-000100")
    #expect(
      try files.names(in: path) == [
        "experts-0-1.qck", "experts-2-3.qck", "manifest.json", "rank-0.qck", "rank-1.qck", "replicated.qck",
        "rollouts.qck",
      ])
    #expect(files.contents["checkpoints/latest"].map { String(decoding: $0, as: UTF8.self) } == "step-000100\n")
    let reader = try CheckpointReader(path, files: files)
    #expect(try TinyCheckpoint.read(reader) == tiny.content)
    #expect(reader.manifest.counters["data.cursor"] == 500)
    #expect(reader.manifest.configuration == TinyCheckpoint.manifest(step: 1).configuration)
    #expect(try reader.array(TensorKey("groups.3.tokens", .rollout), .int32, of: Int32.self) == [5, 6, 7, 8, 9, 10])

    let (others, other) = try self.store()
    try tiny.save(to: other, step: 100, files: others, threads: 3)
    #expect(files.contents == others.contents)
  }

  @Test("A range of a tensor is read from all slices that contain it")
  func ranges() throws {
    let (files, store) = try store()
    let tiny = TinyCheckpoint(seed: 2)
    let reader = try CheckpointReader(tiny.save(to: store, step: 1, files: files), files: files)
    let key = TensorKey("embedding.weight", .secondMoment)
    let whole = try reader.array(key, .float32, of: Float.self)
    for (lower, upper) in [(0, 45), (0, 20), (20, 45), (19, 21), (7, 7), (44, 45), (3, 31)] {
      let target = TensorPiece(
        TensorKey("t", .master), .float32, [upper - lower], elements: [Float](repeating: 9, count: upper - lower))
      let piece = TensorPiece(
        key, .float32, [9, 5], range: lower..<upper, memory: target.memory, owner: TinyCheckpoint.Holder(target))
      try reader.read([piece], threads: 2)
      #expect(Array(target.bytes.bindMemory(to: Float.self)) == Array(whole[lower..<upper]))
    }
  }

  @Test("A wrong type, a wrong shape and a missing tensor are errors that name the tensor")
  func mismatch() throws {
    let (files, store) = try store()
    let reader = try CheckpointReader(TinyCheckpoint(seed: 3).save(to: store, step: 1, files: files), files: files)
    func code(_ name: String, _ type: SafetensorsDataType, _ shape: [Int]) -> CheckpointError.Code? {
      let piece = TensorPiece(
        TensorKey(name, .master), type, shape, elements: [Float](repeating: 0, count: shape.reduce(1, *)))
      do { try reader.read([piece], threads: 1) } catch {
        #expect("\(error)".contains("'\(name)'"))
        return (error as? CheckpointError)?.code
      }
      return nil
    }
    #expect(code("embedding.weight", .float32, [9, 5]) == nil)
    #expect(code("embedding.weight", .float32, [5, 9]) == .mismatch)
    #expect(code("embedding.weight", .int32, [9, 5]) == .mismatch)
    #expect(code("nothing.weight", .float32, [9, 5]) == .missingTensor)
  }

  @Test("A checkpoint with a missing, repeated or unexpected tensor is not published")
  func coverage() throws {
    let (files, store) = try store()
    let tiny = TinyCheckpoint(seed: 4)
    let draft = try store.begin(step: 1)
    let written = try ShardWriter.write(
      tiny.pieces, expertFiles: 2, miniMoEs: 4, in: draft, threads: 1, files: files)
    func problem(_ shards: [WrittenShard], _ expected: Set<TensorKey>) -> String? {
      var manifest = TinyCheckpoint.manifest(step: 1)
      do { try manifest.join(shards, expected: expected, path: draft) } catch { return error.problem }
      return nil
    }
    #expect(problem(written, tiny.expected) == nil)
    #expect(problem(Array(written.dropFirst()), tiny.expected) == "no rank wrote it")
    #expect(
      problem(written, tiny.expected.subtracting([TensorKey("final_norm.weight", .master)]))
        == "is not a tensor of this run")
    #expect(problem(written + [written[0]], tiny.expected) == "a file is named twice")
    var holed = written
    let replicated = try #require(holed.firstIndex { $0.file.name == "rank-1.qck" })
    holed[replicated].records[0].slice.range = 21..<45
    #expect(problem(holed, tiny.expected)?.contains("follows 20 of 45") == true)
    holed[replicated].records[0].slice.range = 19..<45
    #expect(problem(holed, tiny.expected)?.contains("follows 20 of 45") == true)
  }

  @Test("Records of shards pass between ranks unchanged, including tensors without elements")
  func records() throws {
    let (files, store) = try store()
    let written = try ShardWriter.write(
      TinyCheckpoint(seed: 6).pieces, expertFiles: 2, miniMoEs: 4, in: store.begin(step: 1), threads: 1, files: files)
    #expect(written.contains { $0.records.contains { $0.slice.range.isEmpty } })
    #expect(written.contains { $0.records.contains { $0.slice.hash > UInt64(Int64.max) } })
    #expect(try RecordCodec.decode([WrittenShard].self, from: RecordCodec.encode(written)) == written)
  }

  @Test("Pruning keeps the newest, milestones and damaged checkpoints; a damaged one does not block its step's name")
  func pruning() throws {
    let (files, store) = try store()
    let tiny = TinyCheckpoint(seed: 5)
    for step in stride(from: 10, through: 60, by: 10) { try tiny.save(to: store, step: step, files: files) }
    files.set("checkpoints/step-000020/manifest.json", Array("{}".utf8))
    #expect(store.prune(keep: 2, milestones: 30).removed == ["step-000010"])
    #expect(
      try store.checkpoints() == [60, 50, 40, 30, 20].map { "checkpoints/step-0000\($0)" })
    #expect(try tiny.save(to: store, step: 20, files: files) == "checkpoints/step-000020-2")
    #expect(try store.setAside(after: 50) == ["step-000060"])
    #expect(try store.checkpoints().first == "checkpoints/step-000050")
    #expect(try files.names(in: "checkpoints").contains("abandoned-step-000060"))
  }

  @Test("Every rank writes, and each mini-MoE's file is written by a rank that holds the mini-MoE")
  func writers() {
    for (ranks, parallel, count) in [(1, 1, 32), (4, 1, 32), (4, 2, 32), (8, 4, 32), (6, 3, 3), (4, 2, 6)] {
      let files = Placement.expertFiles(ranks: ranks, expertParallel: parallel, miniMoEs: count)
      var writersOfFile: [String: Set<Int>] = [:]
      for number in 0..<count {
        let key = TensorKey("mini_moes.\(number).router.weight", .master)
        let writer = Placement.writer(key, part: nil, ranks: ranks, expertParallel: parallel, miniMoEs: count)
        #expect(writer % parallel == number * parallel / count)
        #expect(writer < ranks)
        let file = Placement.file(key, part: 0, expertFiles: files, miniMoEs: count)
        writersOfFile[file, default: []].insert(writer)
      }
      #expect(writersOfFile.values.allSatisfy { $0.count == 1 })
      #expect(writersOfFile.count == files)
      if count.isMultiple(of: ranks) { #expect(Set(writersOfFile.values.flatMap { $0 }).count == ranks) }
    }
    #expect(
      Placement.file(TensorKey("mini_moes.31.x", .policy), part: 0, expertFiles: 4, miniMoEs: 32) == "experts-24-31.qck"
    )
  }
}
