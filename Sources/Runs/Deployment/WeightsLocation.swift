import Checkpoints
import Foundation

/// Where the weights are that a path leads to: the path of a file, of a checkpoint, or of a directory that holds some.
public enum WeightsLocation: Equatable, Sendable {
  /// A checkpoint's directory.
  case checkpoint(String)
  /// A file, which need not exist.
  case file(String)

  /// Looks at `path`: a run's directory means its `weights.safetensors`, or its newest checkpoint if it has none yet; an
  /// export's means its `model.safetensors`.
  ///
  /// - Throws: `ModelSourceError` if a directory holds no weights, `CheckpointError` if its checkpoints cannot be read.
  public init(_ path: String) throws {
    guard Self.isDirectory(path) else {
      self = .file(path)
      return
    }
    if Self.isCheckpoint(path) {
      self = .checkpoint(path)
      return
    }
    for name in ["weights.safetensors", "model.safetensors"] {
      let candidate = "\(path)/\(name)"
      if FileManager.default.fileExists(atPath: candidate) {
        self = .file(candidate)
        return
      }
    }
    let newest = try CheckpointStore.checkpoint(at: path)
    guard Self.isCheckpoint(newest) else {
      throw ModelSourceError(
        path: path, problem: "holds no checkpoint, weights.safetensors or model.safetensors",
        remedy: "give the directory of a run, of a checkpoint or of an export, or the file itself")
    }
    self = .checkpoint(newest)
  }

  private static func isCheckpoint(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(path)/manifest.json")
  }

  private static func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }
}
