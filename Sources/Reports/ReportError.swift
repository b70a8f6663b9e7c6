import Files
import Foundation

/// A file of a run that could not be written: one line with the path, the cause and the remedy.
public struct ReportError: Error, Equatable, CustomStringConvertible {
  /// The file or directory.
  public let path: String
  /// What failed and what to do.
  public let message: String

  /// An error with a file.
  public init(path: String, message: String) {
    self.path = path
    self.message = message
  }

  /// The error that the last system call left, for an operation such as "write".
  package static func system(_ operation: String, path: String, code: Int32) -> ReportError {
    let remedy =
      switch code {
      case ENOSPC, EDQUOT: "; free space on the disk"
      case EFBIG: "; free space, or raise the limit of file sizes (ulimit -f)"
      case EACCES, EPERM, EROFS: "; check the permissions"
      case ENOENT: "; check that its directory exists"
      default: ""
      }
    return ReportError(path: path, message: "cannot \(operation): \(String(cString: strerror(code)))\(remedy)")
  }

  package init(_ fault: FileFault) { self = .system(fault.operation, path: fault.path, code: fault.number) }

  init(_ error: OutputError) { self.init(path: error.path, message: "\(error.problem); \(error.remedy ?? "")") }

  public var description: String { "\(path): \(message)" }
}
