/// What a run writes and says (the `logging` section).
public struct LoggingConfiguration: Sendable, Equatable {
  /// The least severe log lines that reach stderr.
  public enum Level: String, Sendable, CaseIterable {
    case debug, info, warning, error
  }

  /// Optimizer steps between lines of metrics.
  public var every = 1
  /// Optimizer steps between sample completions; 0 writes none.
  public var samplesEvery = 50
  /// Optimizer steps between records of the routers' loads; 0 writes none.
  public var loadsEvery = 10
  /// Steps for which something must go wrong before it is an alarm; 0: no alarms.
  public var alarmPatience = 10
  /// Where run directories are made.
  public var directory = "runs"
  /// The least severe log lines shown.
  public var level = Level.info

  /// The defaults.
  public init() {}
}
