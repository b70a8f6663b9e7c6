import Checkpoints
import Foundation

/// The location of weights: a file or a checkpoint.
public enum WeightsLocation: Equatable, Sendable {
  /// The directory of a checkpoint.
  case checkpoint(String)
  /// A file, which need not exist.
  case file(String)

  /// Finds the weights of `path`: the file or checkpoint itself; `weights.safetensors` of a run, or else its newest
  /// checkpoint; `model.safetensors` of an export.
  ///
  /// - Throws: `ModelSourceError` if a directory contains no weights, `CheckpointError` if its checkpoints cannot be
  ///   read.
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
        path: path, problem: "contains neither a checkpoint nor weights.safetensors or model.safetensors",
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
