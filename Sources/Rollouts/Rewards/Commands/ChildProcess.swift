import Foundation

/// Starts processes with given standard streams.
package enum ChildProcess {
  /// Why the system started no process.
  package struct Failure: Error {
    let code: Int32
    package var text: String { String(cString: strerror(code)) }
  }

  /// A pipe whose ends children do not inherit.
  package static func pipe() throws(Failure) -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard Foundation.pipe(&ends) == 0 else { throw Failure(code: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  /// Starts `command`, whose first element is a path or a name to look up, as the leader of a new process group, with
  /// default signal handling.
  ///
  /// - Parameter streams: the standard streams; nil is /dev/null.
  package static func start(
    _ command: [String], environment: [String: String], streams: [Int32?]
  ) throws(Failure) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, stream) in streams.enumerated() {
      if let stream {
        posix_spawn_file_actions_adddup2(&actions, stream, Int32(target))
      } else {
        posix_spawn_file_actions_addopen(&actions, Int32(target), "/dev/null", O_RDWR, 0)
      }
    }
    // Children must not inherit other workers' pipes, nor the sockets and shared memory of MPI.
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
    guard code == 0 else { throw Failure(code: code) }
    return process
  }

  /// The path of an executable program, given by its path or by its name on PATH; nil if it does not exist.
  package static func path(of program: String) -> String? {
    let manager = FileManager.default
    func isProgram(_ path: String) -> Bool {
      var isDirectory: ObjCBool = false
      return manager.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
        && manager.isExecutableFile(atPath: path)
    }
    if program.contains("/") { return isProgram(program) ? program : nil }
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
    return folders.map { "\($0)/\(program)" }.first(where: isProgram)
  }

  /// This process's environment without the variables that would make a child a rank of this run.
  package static var environment: [String: String] {
    ProcessInfo.processInfo.environment.filter { name, _ in
      !["OMPI_", "PMIX_", "PMI_", "PRTE_", "OPAL_"].contains { name.hasPrefix($0) }
    }
  }

  /// How a process ended, in words.
  ///
  /// - Parameter status: of `waitpid`.
  package static func end(_ status: Int32) -> String {
    let signal = status & 0x7F
    return signal == 0 ? "exited with code \((status >> 8) & 0xFF)" : "was killed by signal \(signal)"
  }

  private static var openDescriptors: [Int32] {
    let names = try? FileManager.default.contentsOfDirectory(atPath: "/dev/fd")
    return (names ?? []).compactMap { Int32($0) }
  }
}
