import Files
import Foundation

/// What holds for the process from its first moment on.
enum ProcessStart {
  static func prepare() throws {
    StandardDescriptors.openClosed()
    ProcessLimits.restartWithoutThreadsOfOpenBLAS()
    // A write beyond the limit of file sizes (ulimit -f) then fails as on a full disk, with a line, instead of by a signal.
    signal(SIGXFSZ, SIG_IGN)
    try ProcessLimits.check()
    try checkArguments()
  }

  /// Refuses arguments that are not UTF-8: as text they would have other bytes, and so be other paths.
  private static func checkArguments() throws {
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index], String(validatingCString: argument) == nil else { continue }
      throw CommandError(
        .usage,
        "argument \(index) ('\(String(cString: argument))') is not UTF-8; give text in UTF-8, and rename files whose names "
          + "are not")
    }
  }
}
