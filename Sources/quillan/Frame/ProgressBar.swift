import Foundation

/// A line that shows the progress of long work; nothing if stderr is not a terminal.
final class ProgressBar: @unchecked Sendable {
  private let title: String
  private let isTerminal: Bool
  private let lock = NSLock()
  private var shown = -1

  init(_ title: String) {
    self.title = title
    isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
  }

  /// Shows the completed share of the work; any thread may call.
  func show(_ done: Int, of total: Int) {
    guard isTerminal, total > 0 else { return }
    lock.withLock {
      let percent = Int(Double(done) / Double(total) * 100)
      guard percent != shown else { return }
      shown = percent
      let filled = percent * 40 / 100
      let bar = String(repeating: "=", count: filled) + String(repeating: " ", count: 40 - filled)
      StandardErrorLog.write("\r\u{1B}[K\(title) [\(bar)] \(percent) %")
    }
  }

  /// Removes the line.
  func finish() {
    lock.withLock {
      if shown >= 0 { StandardErrorLog.write("\r\u{1B}[K") }
      shown = -1
    }
  }
}
