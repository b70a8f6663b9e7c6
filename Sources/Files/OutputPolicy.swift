/// What an output may stand in the place of.
public enum OutputPolicy: Sendable {
  /// A file of the program's own, in a directory of its own: replaces the regular file that it wrote before. A link, a
  /// device or anything else in its place is an error.
  case own
  /// A path of the user's: nothing is replaced. A link is followed; a device or a pipe is written to.
  case new
  /// A path of the user's, with `--force`: as `new`, but a regular file is replaced.
  case replacing

  public init(force: Bool) { self = force ? .replacing : .new }
}

/// Why an output cannot be written.
public struct OutputError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Code: Sendable {
    /// Something is in the way that must not be replaced, or the path cannot be one.
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
  public let remedy: String

  public var description: String { "\(path): \(problem); \(remedy)" }

  static func refused(_ path: String, _ problem: String, _ remedy: String) -> OutputError {
    OutputError(code: .refused, path: path, problem: problem, remedy: remedy)
  }

  /// The error that a fault while writing is.
  static func writing(_ fault: FileFault, path: String, consequence: String) -> OutputError {
    OutputError(
      code: fault.isFull ? .diskFull : .writeFailed, path: path, problem: "\(fault.problem), \(consequence)",
      remedy: fault.isFull
        ? "free some space, raise the limit of file sizes (ulimit -f) or choose another directory"
        : "check the disk and the directory")
  }
}
