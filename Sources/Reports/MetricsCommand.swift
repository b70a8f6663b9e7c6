import Foundation
import Rollouts

/// A program of the user that reads the lines of metrics while the run writes them (`logging.command`).
///
/// The program gets each line of metrics.jsonl except the header on its standard input, which ends with the session. What
/// it writes to either stream goes to the log, with repetitions collapsed. It never blocks or fails a step: lines that it
/// has not read wait in a bounded queue, further lines are dropped and counted, and after its end the run continues
/// without it. If this process is killed, the program sees the end of its input, and is killed if it does not end in time.
///
/// Not thread-safe: one thread calls all methods.
public final class MetricsCommand {
  private let log: (String) -> Void
  private let capacity: Int
  private let timeout: Double
  private let process: pid_t
  private let keeper: ProcessGuard
  private let input: Int32
  private let output: Int32
  private var reader = PipeReader()
  private var messages = RepeatedMessages()
  /// Lines that the program has not accepted, oldest first; of the first, `accepted` bytes are written.
  private var queue: [[UInt8]] = []
  private var accepted = 0
  private var queuedBytes = 0
  private var dropped = 0
  /// Whether the program reads its input.
  private var isListening = true
  private var isRunning = true
  private var isFinished = false

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - command: program, which `path(of:)` found, and arguments.
  ///   - variables: environment variables in addition to those of this process.
  ///   - timeout: the maximum seconds that `finish` waits.
  ///   - capacity: the maximum bytes that wait for the program.
  ///   - log: called with lines about the program.
  /// - Throws: `ReportError` if the system cannot start it.
  public init(
    _ command: [String], variables: [String: String], timeout: Double, capacity: Int = 4 << 20,
    log: @escaping (String) -> Void
  ) throws(ReportError) {
    self.log = log
    self.timeout = timeout
    self.capacity = capacity
    // Makes writing to a program that has ended an error instead of a signal that ends this process.
    signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = []
    do throws(ChildProcess.Failure) {
      let keeper = try ProcessGuard(grace: Int(min(timeout, 3600).rounded(.up)))
      do throws(ChildProcess.Failure) {
        let down = try ChildProcess.pipe()
        ends += [down.read, down.write]
        let up = try ChildProcess.pipe()
        ends += [up.read, up.write]
        process = try ChildProcess.start(
          command,
          environment: ChildProcess.environment.merging(variables) { $1 }
            .merging([ProcessGuard.variable: keeper.mark]) { $1 },
          streams: [down.read, up.write, up.write])
        (input, output) = (down.write, up.read)
        for end in [down.read, up.write] { close(end) }
      } catch {
        keeper.end()
        throw error
      }
      keeper.watch(group: process)
      self.keeper = keeper
    } catch {
      for end in ends { close(end) }
      throw ReportError(
        path: "logging.command", problem: "cannot start '\(command.joined(separator: " "))' (\(error.text))",
        remedy: "check the command")
    }
    for end in [input, output] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
  }

  deinit { finish(within: 0) }

  /// The path of a program, given by its path or its name on PATH; nil if it does not exist.
  public static func path(of program: String) -> String? { ChildProcess.path(of: program) }

  /// Passes a line on, or drops it if too many wait. Does not block.
  ///
  /// - Parameter line: with its line break.
  public func send(_ line: [UInt8]) {
    exchange()
    guard isRunning, !isFinished else { return }
    guard isListening, queuedBytes + line.count <= capacity else {
      dropped += 1
      if dropped == 1 {
        log("logging.command does not read its input: it misses lines of metrics, which metrics.jsonl has")
      }
      return
    }
    queue.append(line)
    queuedBytes += line.count
    exchange()
  }

  /// Writes and reads as much as possible, and notices the end of the program.
  private func exchange() {
    flush()
    for line in reader.read(output) { say(line) }
    if reader.unread > RepeatedMessages.longest { for line in reader.takeRest() { say(line) } }
    var status: Int32 = 0
    guard isRunning, waitpid(process, &status, WNOHANG) == process else { return }
    isRunning = false
    for line in reader.read(output) + reader.takeRest() { say(line) }
    guard !isFinished else {
      if status != 0 { log("logging.command \(ChildProcess.end(status))") }
      return
    }
    log("logging.command \(ChildProcess.end(status)); the run continues without it")
    isListening = false
    queue = []
    dropped = 0
  }

  private func say(_ message: String) {
    if let shown = messages.admit(message) { log("logging.command: \(shown)") }
  }

  private func flush() {
    while isListening, let line = queue.first {
      let count = line[accepted...].withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
      if count >= 0 {
        accepted += count
        guard accepted == line.count else { continue }
        queue.removeFirst()
        queuedBytes -= line.count
        accepted = 0
      } else if errno == EAGAIN {
        return
      } else if errno != EINTR {
        isListening = false
      }
    }
  }

  /// Passes the waiting lines on, closes the program's input, and waits for the program's end.
  public func finish() { finish(within: timeout) }

  private func finish(within limit: Double) {
    guard !isFinished else { return }
    let end = ContinuousClock.now + .seconds(limit)
    while isListening, !queue.isEmpty, ContinuousClock.now < end { pause() }
    isFinished = true
    isListening = false
    close(input)
    while isRunning, ContinuousClock.now < end { pause() }
    if isRunning {
      kill(-process, SIGKILL)
      while waitpid(process, nil, 0) < 0, errno == EINTR {}
      isRunning = false
      for line in reader.read(output) + reader.takeRest() { say(line) }
      log("logging.command did not end within \(limit) s of the last line, and was killed (logging.command_timeout)")
    }
    keeper.release()
    close(output)
    let missed = dropped + queue.count
    if missed > 0 { log("logging.command missed \(missed) lines of metrics") }
  }

  /// Exchanges what is ready, after a short wait.
  private func pause() {
    usleep(5000)
    exchange()
  }
}
