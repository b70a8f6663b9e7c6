import Checkpoints
import TestSupport

/// A checkpoint small enough to damage every byte: files of two ranks, every type, zeros, slices.
struct TinyCheckpoint {
  static let miniMoEs = 4
  var pieces: [TensorPiece] = []
  var expected: Set<TensorKey> { Set(pieces.map(\.key)) }

  init(seed: UInt64) {
    var numbers = RandomNumbers(seed: seed)
    func floats(_ count: Int) -> [Float] { (0..<count).map { _ in numbers.normal(0.02) } }
    func add(_ name: String, _ shape: [Int]) {
      let count = shape.reduce(1, *)
      pieces.append(TensorPiece(TensorKey(name, .master), .float32, shape, elements: floats(count)))
      pieces.append(
        TensorPiece(TensorKey(name, .firstMoment), .float32, shape, elements: [Float](repeating: 0, count: count)))
    }
    add("embedding.weight", [9, 5])
    add("final_norm.weight", [5])
    for number in 0..<Self.miniMoEs { add("mini_moes.\(number).experts.up.weight", [2, 3, 4]) }
    // The second moment of the embedding has two parts.
    let second = floats(45)
    for (part, range) in [0..<20, 20..<45].enumerated() {
      let own = TensorPiece(TensorKey("x", .secondMoment), .float32, [range.count], elements: Array(second[range]))
      pieces.append(
        TensorPiece(
          TensorKey("embedding.weight", .secondMoment), .float32, [9, 5], range: range, part: part,
          memory: own.memory, owner: Holder(own)))
    }
    let bytes = numbers.bytes(77)
    pieces.append(TensorPiece(TensorKey("embedding.weight", .policy), .uint8, [7, 11], elements: bytes))
    let halves = floats(13).map { UInt16($0.bitPattern >> 16) }
    pieces.append(TensorPiece(TensorKey("embedding.weight", .policyScales), .bfloat16, [13], elements: halves))
    pieces.append(TensorPiece(TensorKey("groups.3.tokens", .rollout), .int32, [6], elements: [Int32](5...10)))
    pieces.append(TensorPiece(TensorKey("groups.3.latents", .rollout), .uint8, [0], elements: [UInt8]()))
    pieces.append(TensorPiece(TensorKey("groups.3.rewards", .rollout), .float64, [2], elements: [0.5, -1.0]))
  }

  final class Holder {
    let piece: TensorPiece
    init(_ piece: TensorPiece) { self.piece = piece }
  }

  static func manifest(step: Int, expertFiles: Int = 2) -> Manifest {
    Manifest(
      program: "0", phase: "train", step: step, ranks: 2, expertParallel: 2, expertFiles: expertFiles,
      counters: ["step": step, "data.cursor": step * 5], configuration: "model:\n  dim: 16 # \"é\"\n")
  }

  /// Saves like two ranks, one after the other.
  @discardableResult
  func save(to store: CheckpointStore, step: Int, files: any FileLayer, threads: Int = 1) throws -> String {
    let draft = try store.begin(step: step)
    var written: [WrittenShard] = []
    for rank in 0..<2 {
      let own = pieces.filter {
        Placement.writer($0.key, part: $0.part, ranks: 2, expertParallel: 2, miniMoEs: Self.miniMoEs) == rank
      }
      written += try ShardWriter.write(
        own, expertFiles: 2, miniMoEs: Self.miniMoEs, in: draft, threads: threads, files: files)
    }
    var manifest = Self.manifest(step: step)
    try manifest.join(written, expected: expected, path: draft)
    return try store.publish(manifest)
  }

  /// The bytes of every tensor from a reader.
  func read(_ path: String, files: any FileLayer) throws -> [String: [UInt8]] {
    try Self.read(CheckpointReader(path, files: files))
  }

  static func read(_ reader: CheckpointReader) throws -> [String: [UInt8]] {
    var result: [String: [UInt8]] = [:]
    for tensor in reader.manifest.tensors {
      let bytes = TensorPiece(
        tensor.key, .uint8, [tensor.byteCount], elements: [UInt8](repeating: 0, count: tensor.byteCount))
      let piece = TensorPiece(tensor.key, tensor.type, tensor.shape, memory: bytes.memory, owner: Holder(bytes))
      try reader.read([piece], threads: 1)
      result[tensor.key.description] = Array(piece.bytes)
    }
    return result
  }

  /// The expected result of `read`.
  var content: [String: [UInt8]] {
    var result: [String: [UInt8]] = [:]
    for piece in pieces { result[piece.key.description, default: []] += Array(piece.bytes) }
    return result
  }
}
