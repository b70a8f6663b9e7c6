import Errors
import Glibc

/// A call of the operating system that failed.
public struct FileFault: QuillanError, Equatable {
  /// What the call was to do, such as "write".
  public let operation: String
  public let path: String
  /// The system's error number.
  public let number: Int32

  public init(_ operation: String, path: String, number: Int32) {
    self.operation = operation
    self.path = path
    self.number = number
  }

  public var status: ErrorStatus { .failure }
  public var place: String? { path }
  public var problem: String { "cannot \(operation) (\(String(cString: strerror(number))))" }

  /// Whether the disk, a quota or the largest allowed size of a file (`ulimit -f`) is exhausted.
  public var isFull: Bool { [ENOSPC, EDQUOT, EFBIG].contains(number) }
}
