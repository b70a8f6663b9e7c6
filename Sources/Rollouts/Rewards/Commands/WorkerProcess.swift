import Foundation

/// A child process with pipes to its standard streams, in its own process group, that dies with this process.
///
/// Invariants: no other worker inherits this process's ends of the pipes, and they never block; `end()` is called once
/// before the object is released, and leaves neither process nor zombie.
final class WorkerProcess {
  let identifier: pid_t
  private let keeper: ProcessGuard
  private let input: Int32
  private let output: Int32
  private let errors: Int32
  private var unsent: [UInt8] = []
  private var answers = PipeReader()
  private var messages = PipeReader()
  private(set) var isOpen = true
  private var hasEnded = false
  /// A longer line is not an answer.
  private static let longestLine = 1 << 24
  /// A message without a line break is cut after this many bytes.
  private static let longestMessage = 1 << 16

  /// Starts `command`, whose first element is a path or a name to look up.
  ///
  /// - Throws: `RewardError` if the system cannot start a process.
  init(_ command: [String], environment: [String: String], reward: String) throws(RewardError) {
    // Makes writing to a worker that has ended an error instead of a signal that ends this process.
    signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = []
    do throws(ChildProcess.Failure) {
      // The guard starts first, so that the worker is never without one.
      let keeper = try ProcessGuard()
      var pipes: [(read: Int32, write: Int32)] = []
      do throws(ChildProcess.Failure) {
        for _ in 0..<3 {
          let pipe = try ChildProcess.pipe()
          pipes.append(pipe)
          ends += [pipe.read, pipe.write]
        }
        identifier = try ChildProcess.start(
          command, environment: environment.merging([ProcessGuard.variable: keeper.mark]) { $1 },
          streams: [pipes[0].read, pipes[1].write, pipes[2].write])
      } catch {
        keeper.end()
        throw error
      }
      keeper.watch(group: identifier)
      self.keeper = keeper
      for end in [pipes[0].read, pipes[1].write, pipes[2].write] { close(end) }
      (input, output, errors) = (pipes[0].write, pipes[1].read, pipes[2].read)
    } catch {
      for end in ends { close(end) }
      throw RewardError(
        reward: reward, problem: "cannot start '\(command.joined(separator: " "))' (\(error.text))",
        remedy: "check the command")
    }
    for end in [input, output, errors] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
  }

  deinit { end() }

  /// Whether there are bytes that the process has not accepted yet.
  var hasUnsent: Bool { !unsent.isEmpty }

  /// The descriptors to poll.
  var polled: [pollfd] {
    guard isOpen else { return [] }
    var result = [
      pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
    ]
    if hasUnsent { result.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0)) }
    return result
  }

  /// Sends as many bytes as the process accepts; `exchange` sends the rest.
  func send(_ bytes: [UInt8]) {
    unsent += bytes
    flush()
  }

  private func flush() {
    while !unsent.isEmpty, isOpen {
      let count = unsent.withUnsafeBytes { Foundation.write(input, $0.baseAddress, $0.count) }
      if count > 0 {
        unsent.removeFirst(count)
      } else if errno != EINTR {
        // If the pipe is full, later. If it is broken, the output also ends, which `exchange` notices.
        if errno != EAGAIN { unsent = [] }
        return
      }
    }
  }

  /// Writes and reads as much as possible without blocking.
  ///
  /// - Returns: complete lines of output and of errors. `isOpen` is false after the end of the output.
  func exchange() -> (lines: [String], messages: [String]) {
    flush()
    let lines = answers.read(output)
    var texts = messages.read(errors)
    if messages.unread > Self.longestMessage { texts += messages.takeRest() }
    if !answers.isOpen || answers.unread > Self.longestLine {
      isOpen = false
      texts += messages.takeRest()
    }
    return (lines, texts)
  }

  /// Kills the process and its descendants, and reaps it.
  ///
  /// - Returns: how it ended, in words.
  @discardableResult func end() -> String {
    guard !hasEnded else { return "ended" }
    hasEnded = true
    isOpen = false
    closePipes()
    var status: Int32 = 0
    var result = waitpid(identifier, &status, WNOHANG)
    let endedAlone = result == identifier
    kill(-identifier, SIGKILL)
    while !endedAlone, result != identifier {
      result = waitpid(identifier, &status, 0)
      if result < 0, errno != EINTR { break }
    }
    keeper.end()
    guard endedAlone else { return "was killed" }
    return ChildProcess.end(status)
  }

  private func closePipes() { for end in [input, output, errors] { close(end) } }
}
