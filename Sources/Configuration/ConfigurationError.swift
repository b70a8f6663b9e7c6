/// Where a configuration value was written: a line of a file, a file as a whole, or an override.
public struct ConfigurationLocation: Sendable, Equatable, CustomStringConvertible {
  /// The file's path, or the override as the user typed it (`--set rl.batch_size=four`).
  public let source: String
  /// The line, counted from 1; nil where the place is the whole source.
  public let line: Int?

  /// A line of a source, or the whole of it.
  public init(source: String, line: Int? = nil) {
    self.source = source
    self.line = line
  }

  public var description: String { line.map { "\(source):\($0)" } ?? source }
}

/// A configuration that cannot be used: one line that says where, what is wrong and what to do (exit code 2).
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// Where the value was written.
  public let location: ConfigurationLocation
  /// What is wrong and the remedy, without the place.
  public let message: String

  /// An error at a place.
  public init(_ location: ConfigurationLocation, _ message: String) {
    self.location = location
    self.message = message
  }

  public var description: String { "\(location): \(message)" }
}
