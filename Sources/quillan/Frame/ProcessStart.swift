import Files
import Foundation

/// The state that the process sets up first.
enum ProcessStart {
  static func prepare() throws {
    StandardDescriptors.openClosed()
    ProcessLimits.restartWithoutThreadsOfOpenBLAS()
    // A write beyond the file size limit (ulimit -f) then fails with EFBIG, which is reported, instead of a signal.
    signal(SIGXFSZ, SIG_IGN)
    try ProcessLimits.check()
    try checkArguments()
  }

  /// Rejects arguments that are not UTF-8: converted to text, they would name other paths.
  private static func checkArguments() throws {
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index], String(validatingCString: argument) == nil else { continue }
      throw CommandError(
        .usage, "argument \(index) ('\(String(cString: argument))') is not UTF-8",
        remedy: "give text in UTF-8, and rename files whose names are not")
    }
  }
}
