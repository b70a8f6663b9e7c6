import Errors
import Files
import Foundation

/// A file of a run that cannot be read or written.
public struct ReportError: QuillanError {
  /// The file or directory.
  public let path: String
  public let problem: String
  public let remedy: String?
  public let cause: (any Error)?

  public init(path: String, problem: String, remedy: String? = nil, cause: (any Error)? = nil) {
    self.path = path
    self.problem = problem
    self.remedy = remedy
    self.cause = cause
  }

  /// A failed system call.
  ///
  /// - Parameters:
  ///   - operation: what failed, such as "write".
  ///   - code: the error number.
  package static func system(_ operation: String, path: String, code: Int32) -> ReportError {
    let remedy: String? =
      switch code {
      case ENOSPC, EDQUOT: "free space on the disk"
      case EFBIG: "free space, or raise the maximum file size (ulimit -f)"
      case EACCES, EPERM, EROFS: "check the permissions"
      case ENOENT: "check that the directory exists"
      default: nil
      }
    return ReportError(
      path: path, problem: "cannot \(operation): \(String(cString: strerror(code)))", remedy: remedy,
      cause: POSIXErrorCode(rawValue: code).map { POSIXError($0) })
  }

  package init(_ fault: FileFault) { self = .system(fault.operation, path: fault.path, code: fault.number) }

  init(_ error: OutputError) {
    self.init(path: error.path, problem: error.problem, remedy: error.remedy, cause: error)
  }

  public var status: ErrorStatus { .failure }
  public var place: String? { path }
}

extension ReportError: Equatable {
  /// Compares all but the cause.
  public static func == (a: ReportError, b: ReportError) -> Bool {
    a.path == b.path && a.problem == b.problem && a.remedy == b.remedy
  }
}
