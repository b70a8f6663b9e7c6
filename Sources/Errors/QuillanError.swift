/// The kind of an error, which is the exit code of a process that it ends.
public enum ErrorStatus: Int32, Equatable, Sendable {
  /// The world failed: a missing file, a full disk, another rank; or a check of `debug` or `bench` failed.
  case failure = 1
  /// The command line or the configuration is wrong.
  case usage = 2
  /// Data is damaged, or does not fit the run.
  case data = 3
}

/// An error that a person reads: one line that says where, what, and what to do; and an exit code.
///
/// Every error type that can leave a command conforms, so that a new type states its exit code where it is defined.
/// The description is `place: problem; remedy`, without the parts that are nil.
public protocol QuillanError: Error, CustomStringConvertible {
  /// The exit code of a process that this error ends.
  var status: ErrorStatus { get }
  /// The file and line, tensor, key, rank or call concerned.
  var place: String? { get }
  /// What is wrong.
  var problem: String { get }
  /// What the reader can do about it.
  var remedy: String? { get }
  /// The error of a lower layer that this one reports.
  var cause: (any Error)? { get }
}

extension QuillanError {
  public var place: String? { nil }
  public var remedy: String? { nil }
  public var cause: (any Error)? { nil }

  public var description: String {
    var line = place.map { "\($0): \(problem)" } ?? problem
    if let remedy { line += "; \(remedy)" }
    return line
  }
}
