import Foundation

/// Limits of the process (`ulimit`) below which libraries crash or hang instead of saying a word.
enum ProcessLimits {
  /// Descriptors that a single rank needs to start and to end.
  private static let descriptors: rlim_t = 32
  private static let stack: rlim_t = 512 << 10
  private static let addressSpace: rlim_t = 256 << 20

  /// Raises limits as far as this process may, and refuses those that are too low.
  static func check() throws {
    try require(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), "open files", "-n", descriptors, wanted: 1024, unit: 1)
    try require(__rlimit_resource_t(RLIMIT_STACK.rawValue), "KiB of stack", "-s", stack, wanted: 8 << 20, unit: 1024)
    try require(
      __rlimit_resource_t(RLIMIT_AS.rawValue), "KiB of address space", "-v", addressSpace, wanted: 0, unit: 1024)
  }

  /// Starts the program anew with one thread of OpenBLAS where the address space is limited: a thread of its own that cannot
  /// have its 128 MiB asks for them for ever, and every fork and the end of the process wait for it.
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
  ///   - wanted: what a lower limit is raised to, where the hard limit lets it.
  ///   - unit: of the shell's `ulimit`.
  private static func require(
    _ resource: __rlimit_resource_t, _ name: String, _ option: String, _ least: rlim_t, wanted: rlim_t, unit: rlim_t
  ) throws {
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return }
    if limit.rlim_cur < wanted, limit.rlim_cur < limit.rlim_max {
      var raised = limit
      raised.rlim_cur = min(wanted, limit.rlim_max)
      if setrlimit(resource, &raised) == 0 { limit = raised }
    }
    guard limit.rlim_cur < least else { return }
    throw CommandError(
      .failed,
      "\(limit.rlim_cur / unit) \(name) are too few for this program: raise the limit to \(least / unit) or more, 'ulimit "
        + "\(option) \(max(least, wanted) / unit)'")
  }
}
