import Checkpoints
import Exports
import Formats
import Foundation

/// Initial inputs: small complete files.
enum Seeds {
  static func of(_ reader: Reader) throws -> [[UInt8]] {
    switch reader {
    case .manifest, .signedManifest, .frame, .checkpoint: try checkpoint()[reader] ?? []
    case .packed: try PackedFile.Layout.allCases.map(PackedProbe.seed)
    default: try files(reader)
    }
  }

  /// The manifest and the shard of a small whole checkpoint.
  static func checkpointFiles() throws -> (manifest: [UInt8], shard: [UInt8]) {
    let checkpoint = try wholeCheckpoint()
    return (checkpoint.manifest.text(), checkpoint.shard)
  }

  private static func wholeCheckpoint() throws -> (
    manifest: Manifest, shard: [UInt8], frames: [(type: Int, count: Int, name: String)]
  ) {
    let draft = "\(Scratch.folder)/draft"
    try FileManager.default.createDirectory(atPath: draft, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: draft) }
    var pieces: [TensorPiece] = []
    var frames: [(type: Int, count: Int, name: String)] = []
    for (index, type) in SafetensorsDataType.allCases.enumerated() {
      let bytes = (0..<40 * type.byteCount).map { UInt8(truncatingIfNeeded: $0 &* $0 &+ index) & 0x3B }
      let source = TensorPiece(TensorKey("", .master), .uint8, [bytes.count], elements: bytes)
      let key = TensorKey("mini_moes.\(index % 2).\(type.rawValue)", .master)
      pieces.append(TensorPiece(key, type, [8, 5], memory: source.memory, owner: Keeper(source)))
      frames.append((index, 40, key.name))
    }
    pieces.append(
      TensorPiece(TensorKey("zeros", .firstMoment), .float32, [6], elements: [Float](repeating: 0, count: 6)))
    pieces.append(TensorPiece(TensorKey("nothing", .rollout), .int64, [0], elements: [Int64]()))
    let written = try ShardWriter.write(
      pieces, to: "model.qck", in: draft, threads: 1, files: SystemFiles())
    var manifest = Manifest(
      program: "0", phase: "train", step: 3, ranks: 1, expertParallel: 1, expertFiles: 0,
      counters: ["updates": 3], configuration: "model:\n  dim: 8\n")
    try manifest.join([written], expected: nil, path: draft)
    return (manifest, Array(try Data(contentsOf: URL(fileURLWithPath: "\(draft)/model.qck"))), frames)
  }

  /// The checkpoint laid out for each of its readers.
  private static func checkpoint() throws -> [Reader: [[UInt8]]] {
    let (manifest, shard, frames) = try wholeCheckpoint()
    let text = manifest.text()
    let body = Array(text.drop { $0 != UInt8(ascii: ",") })
    let cut = [UInt8(body.count >> 8 & 0xFF), UInt8(body.count & 0xFF)]
    var seeds: [Reader: [[UInt8]]] = [
      .manifest: [text], .signedManifest: [body], .checkpoint: [cut + body + shard.dropFirst(Shard.header.count)],
    ]
    for frame in frames {
      guard let slice = manifest.tensor(TensorKey(frame.name, .master))?.slices.first else { continue }
      let encoding = FrameEncoding.allCases.firstIndex(of: slice.encoding) ?? 0
      let head: [UInt8] = [UInt8(frame.type), UInt8(encoding), UInt8(frame.count), 0, 0]
      seeds[.frame, default: []].append(head + shard[slice.offset..<slice.offset + slice.bytes])
    }
    return seeds
  }

  private final class Keeper {
    let piece: TensorPiece
    init(_ piece: TensorPiece) { self.piece = piece }
  }
}
