import Checkpoints
import Exports

/// A file as it is on a disk, with all its hashes, and its reader. Inputs of a fuzzer have some hashes put in order on the
/// way to the reader, or no bit that the fuzzer changes would come any further.
struct WholeFile {
  let bytes: [UInt8]
  /// What is read, or nil if the file is refused.
  let read: ([UInt8]) -> Any?

  /// Files of a reader; none if what it reads is only ever a part of a file.
  static func of(_ reader: Reader) throws -> [WholeFile] {
    switch reader {
    case .signedManifest, .frame: []
    case .checkpoint: [try checkpoint()]
    case .packed:
      try PackedFile.Layout.allCases.map { WholeFile(bytes: try PackedProbe.file($0), read: PackedProbe.readFile) }
    default: try Seeds.of(reader).map { WholeFile(bytes: $0, read: reader.read) }
    }
  }

  /// The manifest and the shard of a checkpoint, one after the other.
  private static func checkpoint() throws -> WholeFile {
    let (manifest, shard) = try Seeds.checkpointFiles()
    return WholeFile(bytes: manifest + shard) { input in
      CheckpointProbe.read(manifest: Array(input[..<manifest.count]), shard: Array(input[manifest.count...]))
    }
  }
}
