import Foundation

/// A child process with pipes to its three standard streams, in a process group of its own.
///
/// Invariants: the pipes' ends here are not inherited by another worker and never block; `end()` has been called once
/// before the value is given up, after which no process and no zombie is left.
final class WorkerProcess {
  let identifier: pid_t
  private let input: Int32
  private let output: Int32
  private let errors: Int32
  private var unsent: [UInt8] = []
  private var unread: [UInt8] = []
  private var unreadErrors: [UInt8] = []
  private(set) var isOpen = true
  private var hasEnded = false
  /// A line longer than this is no answer.
  private static let longestLine = 1 << 24

  /// Starts `command`, whose first element is a path or a name to look up.
  ///
  /// - Throws: `RewardError` where the system starts no process.
  init(_ command: [String], environment: [String: String], reward: String) throws(RewardError) {
    // A worker that ended makes writing to it an error, not a signal that ends this process.
    signal(SIGPIPE, SIG_IGN)
    var pipes: [(read: Int32, write: Int32)] = []
    for _ in 0..<3 {
      var ends: [Int32] = [-1, -1]
      guard pipe(&ends) == 0 else {
        for pipe in pipes { for end in [pipe.read, pipe.write] { close(end) } }
        throw Self.failure(errno, command, reward)
      }
      pipes.append((ends[0], ends[1]))
    }
    let theirs = [pipes[0].read, pipes[1].write, pipes[2].write]
    let (code, process) = Self.spawn(command, environment, streams: theirs)
    for end in theirs { close(end) }
    (input, output, errors) = (pipes[0].write, pipes[1].read, pipes[2].read)
    identifier = process
    for end in [input, output, errors] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    guard code == 0 else {
      hasEnded = true
      closePipes()
      throw Self.failure(code, command, reward)
    }
  }

  deinit { end() }

  private static func failure(_ code: Int32, _ command: [String], _ reward: String) -> RewardError {
    RewardError(
      reward: reward, problem: "cannot start '\(command.joined(separator: " "))' (\(String(cString: strerror(code))))",
      remedy: "check the command")
  }

  private static func spawn(_ command: [String], _ environment: [String: String], streams: [Int32])
    -> (code: Int32, process: pid_t)
  {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, stream) in streams.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, stream, Int32(target))
    }
    // Other workers' pipes, and the sockets and shared memory of MPI, stay here.
    for descriptor in openDescriptors where descriptor > 2 {
      posix_spawn_file_actions_addclose(&actions, descriptor)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var standard = sigset_t()
    sigfillset(&standard)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &standard)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    var arguments = command.map { strdup($0) } + [nil]
    var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in arguments + variables { free(text) } }
    var process: pid_t = 0
    let code = posix_spawnp(&process, command[0], &actions, &attributes, &arguments, &variables)
    return (code, process)
  }

  private static var openDescriptors: [Int32] {
    let names = try? FileManager.default.contentsOfDirectory(atPath: "/dev/fd")
    return (names ?? []).compactMap { Int32($0) }
  }

  /// Whether bytes wait for the process to read.
  var hasUnsent: Bool { !unsent.isEmpty }

  /// The descriptors to wait for.
  var polled: [pollfd] {
    guard isOpen else { return [] }
    var result = [
      pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
    ]
    if hasUnsent { result.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0)) }
    return result
  }

  /// Sends bytes as the process takes them; what it does not take yet is sent by `exchange`.
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
        // Full: later. Broken: its output ends too, which `exchange` sees.
        if errno != EAGAIN { unsent = [] }
        return
      }
    }
  }

  /// Writes and reads what is possible without waiting.
  ///
  /// - Returns: whole lines of output and of errors. `isOpen` is false after the end of the output.
  func exchange() -> (lines: [String], messages: [String]) {
    flush()
    var lines: [String] = []
    var messages: [String] = []
    let goesOn = Self.read(output, into: &unread, &lines)
    _ = Self.read(errors, into: &unreadErrors, &messages)
    if !goesOn || unread.count > Self.longestLine {
      isOpen = false
      if !unreadErrors.isEmpty { messages.append(String(decoding: unreadErrors, as: UTF8.self)) }
    }
    return (lines, messages)
  }

  /// Whether the stream has not ended.
  private static func read(_ stream: Int32, into unread: inout [UInt8], _ lines: inout [String]) -> Bool {
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Foundation.read(stream, &block, block.count)
      if count < 0, errno == EINTR { continue }
      if count == 0 { return false }
      if count < 0 { return errno == EAGAIN }
      unread += block[..<count]
      guard block[..<count].contains(UInt8(ascii: "\n")), let last = unread.lastIndex(of: UInt8(ascii: "\n")) else {
        continue
      }
      lines += unread[..<last].split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
      unread.removeFirst(last + 1)
    }
  }

  /// Kills the process with all that it started, and waits until the system has forgotten it.
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
    guard endedAlone else { return "was ended" }
    let signal = status & 0x7F
    return signal == 0 ? "exited with code \((status >> 8) & 0xFF)" : "was killed by signal \(signal)"
  }

  private func closePipes() { for end in [input, output, errors] { close(end) } }
}
