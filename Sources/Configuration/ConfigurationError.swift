import Errors

/// The source of a configuration value: a line of a file, a whole file, or an override.
public struct ConfigurationLocation: Sendable, Equatable, CustomStringConvertible {
  /// The file's path, or the override as the user typed it (`--set rl.batch_size=four`).
  public let source: String
  /// The line, counted from 1; nil for the whole source.
  public let line: Int?

  /// A line of a source, or the whole source.
  public init(source: String, line: Int? = nil) {
    self.source = source
    self.line = line
  }

  public var description: String { line.map { "\(source):\($0)" } ?? source }
}

/// An invalid configuration.
public struct ConfigurationError: QuillanError, Equatable {
  /// The line, file or override that is wrong.
  public let location: ConfigurationLocation
  public let problem: String
  public let remedy: String?

  public init(_ location: ConfigurationLocation, _ problem: String, remedy: String? = nil) {
    self.location = location
    self.problem = problem
    self.remedy = remedy
  }

  public var status: ErrorStatus { .usage }
  public var place: String? { location.description }
  /// Problem and remedy, without the location.
  public var message: String { remedy.map { "\(problem); \($0)" } ?? problem }
}
