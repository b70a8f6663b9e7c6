import Formats
import Foundation

/// Writes one shard file: several threads compress pieces, which are written in the order of their keys, so the file's
/// bytes depend only on the pieces.
public enum ShardWriter {
  /// Writes the pieces to the new file `name` in `directory`, durable once this returns.
  ///
  /// - Parameters:
  ///   - spareTime: decides when the threads may compress; nil: always.
  ///   - taken: called with each piece when its memory is no longer read.
  /// - Throws: `CheckpointError`.
  public static func write(
    _ pieces: [TensorPiece], to name: String, in directory: String, threads: Int, files: any FileLayer,
    spareTime: SpareTime? = nil, taken: @escaping @Sendable (TensorPiece) -> Void = { _ in }
  ) throws -> WrittenShard {
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
        // Raw bytes are still in the piece's memory.
        if result.encoding != .raw { taken(piece) }
        turns.inTurn(number) { try output.append(piece, result) }
        if result.encoding == .raw { taken(piece) }
      }
    }
    try turns.check()
    return try output.finish()
  }

  /// Writes the pieces of one rank, each to the file that `Placement` names, in a draft's directory.
  ///
  /// - Returns: the files written, by name.
  /// - Throws: `CheckpointError`.
  public static func write(
    _ pieces: [TensorPiece], expertFiles: Int, miniMoEs: Int, in directory: String, threads: Int,
    files: any FileLayer, spareTime: SpareTime? = nil, taken: @escaping @Sendable (TensorPiece) -> Void = { _ in }
  ) throws -> [WrittenShard] {
    let byFile = Dictionary(grouping: pieces) {
      Placement.file($0.key, part: $0.part.map { $0 + 1 } ?? 0, expertFiles: expertFiles, miniMoEs: miniMoEs)
    }
    return try byFile.keys.sorted().map { name in
      try write(
        byFile[name] ?? [], to: name, in: directory, threads: threads, files: files, spareTime: spareTime, taken: taken)
    }
  }

  /// A shard file and the records of its slices; used by one thread at a time.
  private final class Recorder: @unchecked Sendable {
    private let output: ShardOutput
    private var records: [WrittenShard.Record] = []

    init(_ output: ShardOutput) { self.output = output }

    func append(_ piece: TensorPiece, _ result: FrameEncoder.Result) throws(CheckpointError) {
      var slice = Manifest.Slice.empty
      if !piece.range.isEmpty {
        slice = Manifest.Slice(
          range: piece.range, part: piece.part.map { $0 + 1 } ?? 0, file: 0, offset: output.byteCount,
          bytes: result.bytes.count, encoding: result.encoding, hash: result.hash)
        try output.append(result.bytes, tensor: piece.key)
      }
      records.append(
        WrittenShard.Record(key: piece.key, type: piece.type, shape: piece.shape, slice: slice))
    }

    func finish() throws(CheckpointError) -> WrittenShard { WrittenShard(file: try output.finish(), records: records) }
  }
}
