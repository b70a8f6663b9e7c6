import Errors

/// Why an output cannot be written.
public struct OutputError: QuillanError, Equatable {
  public enum Code: Sendable {
    /// Something that must not be replaced is at the path, or the path is not valid.
    case refused
    /// The directory is missing or not writable.
    case inaccessible
    /// No space, quota or allowed file size left.
    case diskFull
    case writeFailed
  }

  public let code: Code
  public let path: String
  public let problem: String
  public let remedy: String?

  public var status: ErrorStatus { .failure }
  public var place: String? { path }

  static func refused(_ path: String, _ problem: String, _ remedy: String) -> OutputError {
    OutputError(code: .refused, path: path, problem: problem, remedy: remedy)
  }

  /// Wraps a system error that occurred while writing.
  static func writing(_ fault: FileFault, path: String, consequence: String) -> OutputError {
    OutputError(
      code: fault.isFull ? .diskFull : .writeFailed, path: path, problem: "\(fault.problem), \(consequence)",
      remedy: fault.isFull
        ? "free some space, raise the limit of file sizes (ulimit -f) or choose another directory"
        : "check the disk and the directory")
  }
}
