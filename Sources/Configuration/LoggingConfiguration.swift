/// Metrics, samples, alarms and log lines of a run (the `logging` section).
public struct LoggingConfiguration: Sendable, Equatable {
  /// The minimum severity of log lines.
  public enum Level: String, Sendable, CaseIterable {
    case debug, info, warning, error
  }

  /// Optimizer steps between lines of metrics.
  public var every = 1
  /// Optimizer steps between sample completions; 0 writes none.
  public var samplesEvery = 50
  /// Optimizer steps between records of the routers' loads; 0 writes none.
  public var loadsEvery = 10
  /// Optimizer steps between measurements of the gradient norms of policy loss and other losses; 0 means none.
  public var normsEvery = 0
  /// Consecutive steps for which a condition must hold before it raises an alarm; 0 means no alarms.
  public var alarmPatience = 10
  /// The directory in which run directories are created.
  public var directory = "runs"
  /// Program and arguments of a tracker, which reads the lines of metrics; empty means none.
  public var command: [String] = []
  /// Maximum seconds that `command` has to end after the last line.
  public var commandTimeout = 30.0
  /// The minimum severity of log lines on stderr.
  public var level = Level.info

  /// The defaults.
  public init() {}
}
