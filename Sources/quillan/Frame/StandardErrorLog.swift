import Configuration
import Foundation
import Logging
import MPI
import Synchronization

/// Log lines on stderr: time, level, the rank if there are several, message, metadata.
///
/// Rank 0 logs everything at or above the configured level; the other ranks log only warnings and errors.
struct StandardErrorLog: LogHandler {
  private static let minimumLevel = Mutex(Logger.Level.info)

  var metadata: Logger.Metadata = [:]
  private var ownLevel: Logger.Level?

  /// The logger's own level if it was set, otherwise the level of all loggers (`setLevel`).
  var logLevel: Logger.Level {
    get { ownLevel ?? Self.minimumLevel.withLock { $0 } }
    set { ownLevel = newValue }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Directs every logger of the process to this handler. Called once, at the start.
  static func install() {
    LoggingSystem.bootstrap { _ in StandardErrorLog() }
  }

  /// Sets the minimum level that is logged (`logging.level`).
  static func setLevel(_ level: LoggingConfiguration.Level) {
    let translated: Logger.Level =
      switch level {
      case .debug: .debug
      case .info: .info
      case .warning: .warning
      case .error: .error
      }
    minimumLevel.withLock { $0 = translated }
  }

  func log(event: LogEvent) {
    let place = ProcessRank.current
    guard place.rank == 0 || event.level >= .warning else { return }
    let rank = place.size > 1 ? " rank \(place.rank)" : ""
    let details = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
      .map { " \($0.key)=\($0.value)" }.joined()
    let text = "\(event.message)".split(whereSeparator: \.isNewline).joined(separator: " ")
    Self.write("\(Self.time()) \(event.level)\(rank): \(PlainText.escaped(text + details))\n")
  }

  /// Local time as 14:03:59.
  private static func time() -> String {
    var now = time_t(Date().timeIntervalSince1970)
    var parts = tm()
    localtime_r(&now, &parts)
    let fields = [parts.tm_hour, parts.tm_min, parts.tm_sec]
    return fields.map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
  }

  /// Writes a line in one system call, so that lines of different ranks and threads do not mix.
  static func write(_ line: String) {
    let bytes = Array(line.utf8)
    _ = Foundation.write(STDERR_FILENO, bytes, bytes.count)
  }
}
