import Checkpoints
import Configuration
import Foundation

/// The configurations that checkpoints and weights were written with.
enum RecordedConfiguration {
  /// The configuration of a checkpoint; nil if it cannot be read.
  static func ofCheckpoint(_ path: String) -> RunConfiguration? {
    guard let manifest = try? CheckpointReader(path).manifest else { return nil }
    return try? RunConfiguration.parse(yaml: manifest.configuration, file: path)
  }

  /// The configuration of a checkpoint, or of the run or export that holds weights; nil if none was recorded.
  static func ofWeights(_ path: String) -> RunConfiguration? {
    switch try? WeightsLocation(path) {
    case .checkpoint(let directory): return ofCheckpoint(directory)
    case .file(let file):
      let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
      let found = ["config.yaml", "config.json"].map { folder.appendingPathComponent($0).path }
        .first { FileManager.default.fileExists(atPath: $0) }
      return found.flatMap { try? RunConfiguration.load(path: $0) }
    case nil: return nil
    }
  }
}
