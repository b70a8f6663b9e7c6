import Checkpoints
import Exports
import Formats
import Foundation
import Models
import Rollouts
import Training

/// What the process tells its caller.
enum ExitStatus: Int32, Error {
  case done = 0
  /// A fault of the world (a missing file, a full disk, another rank), or a comparison that failed.
  case failed = 1
  /// The command line or the configuration.
  case usage = 2
  /// Data that is corrupt or does not fit.
  case badData = 3
  /// A signal stopped the run after a step; the weights so far are written (EX_TEMPFAIL).
  case stopped = 75
}

extension ExitStatus {
  /// The status that an error ends the process with.
  init(_ error: any Error) {
    switch error {
    case let error as CommandError: self = error.status
    case let error as AgreedError: self = error.status
    case is ConfigurationError, is ConfigurationIssue: self = .usage
    case let error as TrainingError:
      self = error.kind == .configuration ? .usage : error.kind == .data ? .badData : .failed
    case let error as CheckpointError: self = error.isCorruptData ? .badData : .failed
    case is TaskError: self = .usage
    case is GoldenCaseError: self = .badData
    case let error as PackedFileError: self = error.isCorruptData ? .badData : .failed
    case let error as ModelSourceError: self = error.isBadData ? .badData : .failed
    case let error as NumpyError: self = error.isBadData ? .badData : .failed
    case let error as SafetensorsError: self = error.isCorruptData ? .badData : .failed
    case let error as DataError: self = error.line != nil || Self.isFile(error.file) ? .badData : .failed
    case let error as TokenizerError: self = error.line != nil || Self.isFile(error.file) ? .badData : .failed
    default: self = .failed
    }
  }

  /// Whether there is a file to read at `path`, so that an error about it concerns what it holds.
  private static func isFile(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
      && FileManager.default.isReadableFile(atPath: path)
  }
}
