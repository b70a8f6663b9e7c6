import Errors
import Foundation

/// Shows the progress of a run on stderr: one updating line on a terminal, otherwise a line every `every` steps.
///
/// Only rank 0 has a reporter.
public final class ProgressReporter {
  /// The values of a line; nil values are omitted.
  public struct Figures: Sendable, Equatable {
    /// Mean reward of the step.
    public var reward: Double?
    /// Loss, in pre-training.
    public var loss: Double?
    /// Mean entropy in nats.
    public var entropy: Double?
    /// KL to π_old in nats.
    public var divergence: Double?
    /// Tokens per second over all ranks.
    public var tokensPerSecond: Double?

    /// The values of one step.
    public init(
      reward: Double? = nil, loss: Double? = nil, entropy: Double? = nil, divergence: Double? = nil,
      tokensPerSecond: Double? = nil
    ) {
      self.reward = reward
      self.loss = loss
      self.entropy = entropy
      self.divergence = divergence
      self.tokensPerSecond = tokensPerSecond
    }
  }

  private let title: String
  private let total: Int
  private let every: Int
  private let isTerminal: Bool
  private let width: Int
  private let emit: (String) -> Void
  private var hasLine = false

  /// Reports to stderr, with an updating line if stderr is a terminal.
  public convenience init(title: String, total: Int, every: Int) {
    var size = winsize()
    let isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    let width = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    self.init(title: title, total: total, every: every, isTerminal: isTerminal, width: width) { text in
      try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
  }

  /// Reports to `emit`, as to a terminal of `width` columns if `isTerminal`.
  package init(
    title: String, total: Int, every: Int, isTerminal: Bool, width: Int, emit: @escaping (String) -> Void
  ) {
    self.title = title
    self.total = total
    self.every = max(1, every)
    self.isTerminal = isTerminal
    self.width = max(20, width)
    self.emit = emit
  }

  /// Shows a finished step (from 1).
  ///
  /// - Parameter elapsed: seconds since the start of step `first`.
  public func report(step: Int, first: Int = 1, elapsed: Double, _ figures: Figures) {
    guard isTerminal || step % every == 0 || step == first || step == total else { return }
    let line = Self.line(
      title: title, step: step, total: total, remaining: Self.remaining(step, first, total, elapsed), figures)
    guard isTerminal else { return emit(line + "\n") }
    hasLine = true
    // Return to the start of the line and clear the rest of a longer previous line.
    emit("\r\u{1B}[K" + line.prefix(width - 1))
  }

  /// Writes a message on a separate line above the updating line.
  public func note(_ message: String) {
    emit((hasLine ? "\r\u{1B}[K" : "") + message + "\n")
    hasLine = false
  }

  /// Ends the updating line, so that further output starts on a new line.
  public func finish() {
    if hasLine { emit("\n") }
    hasLine = false
  }

  private static func remaining(_ step: Int, _ first: Int, _ total: Int, _ elapsed: Double) -> Double? {
    let done = step - first + 1
    guard done > 0, elapsed.isFinite, elapsed >= 0, step <= total else { return nil }
    return elapsed / Double(done) * Double(total - step)
  }

  private static func line(title: String, step: Int, total: Int, remaining: Double?, _ figures: Figures) -> String {
    let digits = String(total).count - String(step).count
    var parts = ["\(title) \(String(repeating: " ", count: max(0, digits)))\(step)/\(total)"]
    func add(_ name: String, _ value: Double?, _ decimals: Int) {
      if let value { parts.append("\(name) \(FigureText.fixed(value, decimals))") }
    }
    add("reward", figures.reward, 3)
    add("loss", figures.loss, 3)
    add("entropy", figures.entropy, 3)
    add("KL", figures.divergence, 4)
    if let rate = figures.tokensPerSecond { parts.append("\(FigureText.grouped(rate)) tokens/s") }
    if let remaining { parts.append("\(FigureText.duration(remaining)) left") }
    return parts.joined(separator: "  ")
  }
}
