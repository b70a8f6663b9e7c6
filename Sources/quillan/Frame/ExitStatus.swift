import Checkpoints
import Exports
import Formats
import Foundation
import Models
import Rollouts
import Errors

/// The exit code of the process.
enum ExitStatus: Int32, Error {
  case done = 0
  /// The world failed (a missing file, a full disk, another rank), or a comparison failed.
  case failed = 1
  /// The command line or the configuration is wrong.
  case usage = 2
  /// Data is damaged, or does not fit.
  case badData = 3
  /// A signal stopped the run after a step, and a checkpoint holds the steps so far (EX_TEMPFAIL).
  case stopped = 75
}

extension ExitStatus {
  /// The exit code of a process that `error` ends.
  init(_ error: any Error) {
    switch ErrorStatus(of: error) {
    case .failure: self = .failed
    case .usage: self = .usage
    case .data: self = .badData
    }
  }
}

extension ErrorStatus {
  /// What the error itself says; `failure` for an error of the system or of another library.
  init(of error: any Error) { self = (error as? any QuillanError)?.status ?? .failure }
}
