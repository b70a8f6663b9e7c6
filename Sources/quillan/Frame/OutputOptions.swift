import ArgumentParser
import Files
import Foundation

/// Options of every command that writes a file chosen by the user.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Replace existing output files.")
  var force = false

  var policy: OutputPolicy { OutputPolicy(force: force) }

  /// Checks, before the work starts, that an output can be written.
  func check(_ path: String?) throws {
    if let path { try OutputFile.check(path, policy) }
  }

  /// Prints a command's text: to stdout, or to stderr if the output itself goes to stdout.
  static func say(_ text: String, besides output: String) throws {
    if OutputFile.isStandardOutput(output) { StandardErrorLog.write(text) } else { try StandardOutput.write(text) }
  }

  /// The size of a regular file; 0 for anything else.
  static func byteCount(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : 0
  }
}
