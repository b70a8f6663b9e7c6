import Foundation

/// Minimum process limits (`ulimit`); below them, libraries crash or hang without a message.
enum ProcessLimits {
  /// File descriptors that a single rank needs to start and exit.
  private static let descriptors: rlim_t = 32
  private static let stack: rlim_t = 512 << 10
  private static let addressSpace: rlim_t = 256 << 20

  /// Raises the limits as far as allowed.
  ///
  /// - Throws: `CommandError` if a limit remains too low.
  static func check() throws {
    try require(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), "open files", "-n", descriptors, wanted: 1024, unit: 1)
    try require(__rlimit_resource_t(RLIMIT_STACK.rawValue), "KiB of stack", "-s", stack, wanted: 8 << 20, unit: 1024)
    try require(
      __rlimit_resource_t(RLIMIT_AS.rawValue), "KiB of address space", "-v", addressSpace, wanted: 0, unit: 1024)
  }

  /// Restarts the program with a single OpenBLAS thread if the address space is limited. Otherwise an OpenBLAS thread
  /// that cannot allocate its 128 MiB retries for ever, and blocks every fork and the exit of the process.
  static func restartWithoutThreadsOfOpenBLAS() {
    let variable = "OPENBLAS_NUM_THREADS"
    var limit = rlimit()
    guard getenv(variable) == nil, getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0,
      limit.rlim_cur != rlim_t.max
    else { return }
    setenv(variable, "1", 1)
    execv("/proc/self/exe", CommandLine.unsafeArgv)
  }

  /// - Parameters:
  ///   - wanted: the value to which a lower limit is raised, if the hard limit permits.
  ///   - unit: the unit of the shell's `ulimit`.
  private static func require(
    _ resource: __rlimit_resource_t, _ name: String, _ option: String, _ minimum: rlim_t, wanted: rlim_t, unit: rlim_t
  ) throws {
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return }
    if limit.rlim_cur < wanted, limit.rlim_cur < limit.rlim_max {
      var raised = limit
      raised.rlim_cur = min(wanted, limit.rlim_max)
      if setrlimit(resource, &raised) == 0 { limit = raised }
    }
    guard limit.rlim_cur < minimum else { return }
    throw CommandError(
      .failure, "the limit of \(limit.rlim_cur / unit) \(name) is too low: the program needs \(minimum / unit)",
      remedy: "raise it with 'ulimit \(option) \(max(minimum, wanted) / unit)'")
  }
}
