import Exports
import Foundation

/// Writes one shard file: pieces are compressed by several threads and written in the order of their keys, so the file's
/// bytes depend on the pieces alone.
public enum ShardWriter {
  /// What was written of one piece.
  public struct Record: Sendable, Equatable {
    public var key: TensorKey
    public var type: SafetensorsDataType
    public var shape: [Int]
    /// `file` is 0: whoever joins the files of all ranks knows its number.
    public var slice: Manifest.Slice
  }

  /// The content of a shard file.
  public struct Written: Sendable, Equatable {
    public var file: Manifest.File
    public var records: [Record]
  }

  /// Writes the pieces to the new file `name` in `directory`, durable once this returns.
  ///
  /// - Parameters:
  ///   - spareTime: when the threads may compress; nil: at once.
  ///   - taken: called with each piece once its memory is no longer read.
  /// - Throws: `CheckpointError`.
  public static func write(
    _ pieces: [TensorPiece], to name: String, in directory: String, threads: Int, files: any FileLayer,
    spareTime: SpareTime? = nil, taken: @escaping @Sendable (TensorPiece) -> Void = { _ in }
  ) throws -> Written {
    let inOrder = pieces.sorted { ($0.key, $0.range.lowerBound) < ($1.key, $1.range.lowerBound) }
    let output = Recorder(try ShardOutput(name, in: directory, files))
    let turns = OrderedTurns(count: inOrder.count)
    let workers = min(threads, max(1, inOrder.count))
    Workers.run(workers) { _ in
      let encoder = FrameEncoder()
      let worker = spareTime?.worker(of: workers)
      defer { worker?.finish() }
      while let number = turns.next() {
        let piece = inOrder[number]
        let result = encoder.encode(piece.bytes, piece.type) { worker?.pause() }
        // Raw bytes still lie in the piece's own memory.
        if result.encoding != .raw { taken(piece) }
        turns.inTurn(number) { try output.append(piece, result) }
        if result.encoding == .raw { taken(piece) }
      }
    }
    try turns.check()
    return try output.finish()
  }

  /// The file and its records; used by one thread at a time.
  private final class Recorder: @unchecked Sendable {
    private let output: ShardOutput
    private var records: [Record] = []

    init(_ output: ShardOutput) { self.output = output }

    func append(_ piece: TensorPiece, _ result: FrameEncoder.Result) throws(CheckpointError) {
      var slice = Manifest.Slice.empty
      if !piece.range.isEmpty {
        slice = Manifest.Slice(
          range: piece.range, part: piece.part.map { $0 + 1 } ?? 0, file: 0, offset: output.byteCount,
          bytes: result.bytes.count, encoding: result.encoding, hash: result.hash)
        try output.append(result.bytes, tensor: piece.key)
      }
      records.append(Record(key: piece.key, type: piece.type, shape: piece.shape, slice: slice))
    }

    func finish() throws(CheckpointError) -> Written { Written(file: try output.finish(), records: records) }
  }
}

extension Manifest {
  /// Joins what all ranks have written, and proves that it is a whole checkpoint.
  ///
  /// - Parameter expected: every tensor that must be there; nothing else may be but rollouts.
  /// - Throws: `CheckpointError` naming what is missing, twice, or unexpected.
  public mutating func join(
    _ shards: [ShardWriter.Written], expected: Set<TensorKey>?, path: String
  ) throws(CheckpointError) {
    let inOrder = shards.sorted { $0.file.name < $1.file.name }
    files = inOrder.map(\.file)
    var joined: [TensorKey: Tensor] = [:]
    for (index, shard) in inOrder.enumerated() {
      for record in shard.records {
        var slice = record.slice
        slice.file = index
        var tensor = joined[record.key] ?? Tensor(key: record.key, type: record.type, shape: record.shape, slices: [])
        guard tensor.type == record.type, tensor.shape == record.shape else {
          throw CheckpointError(
            .inconsistentLayout, path: path, tensor: record.key.description,
            problem: "two ranks gave it different types or shapes", remedy: "start all ranks with one configuration")
        }
        if !slice.range.isEmpty { tensor.slices.append(slice) }
        joined[record.key] = tensor
      }
    }
    tensors = joined.values.sorted { $0.key < $1.key }
    for index in tensors.indices { tensors[index].slices.sort { $0.range.lowerBound < $1.range.lowerBound } }
    if let expected {
      let found = Set(joined.keys.filter { $0.kind != .rollout || expected.contains($0) })
      if let key = expected.subtracting(found).min() ?? found.subtracting(expected).min() {
        throw CheckpointError(
          .inconsistentLayout, path: path, tensor: key.description,
          problem: expected.contains(key) ? "no rank has written it" : "is none of this run's tensors",
          remedy: "this is a defect: please report it with config.yaml")
      }
    }
    try validate(path: path)
  }
}

extension Manifest {
  /// What one rank has written, as text that travels to the rank that joins it.
  public static func text(of written: [ShardWriter.Written]) -> [UInt8] {
    var manifest = Manifest(
      program: "", phase: "", step: 0, ranks: 0, expertParallel: 0, expertFiles: 0, counters: [:], configuration: "")
    manifest.files = written.map(\.file)
    for (index, shard) in written.enumerated() {
      for record in shard.records {
        var slice = record.slice
        slice.file = index
        // An empty tensor has no slice, but belongs to a file all the same: the last count says which.
        manifest.tensors.append(
          Tensor(
            key: record.key, type: record.type, shape: record.shape, slices: slice.range.isEmpty ? [] : [slice]))
        if slice.range.isEmpty { manifest.counters["\(manifest.tensors.count - 1)"] = index }
      }
    }
    return manifest.text()
  }

  /// The inverse of `text(of:)`.
  public static func written(from text: [UInt8]) throws -> [ShardWriter.Written] {
    let manifest = try text.withUnsafeBytes { try parse($0) }
    var written = manifest.files.map { ShardWriter.Written(file: $0, records: []) }
    for (index, tensor) in manifest.tensors.enumerated() {
      let file = tensor.slices.first?.file ?? manifest.counters["\(index)"] ?? 0
      guard written.indices.contains(file) else { continue }
      var slice = tensor.slices.first ?? .empty
      slice.file = 0
      written[file].records.append(
        ShardWriter.Record(key: tensor.key, type: tensor.type, shape: tensor.shape, slice: slice))
    }
    return written
  }
}

extension Manifest.Slice {
  /// The slice of a tensor without elements.
  static let empty = Manifest.Slice(range: 0..<0, part: 0, file: 0, offset: 0, bytes: 0, encoding: .zeros, hash: 0)
}
