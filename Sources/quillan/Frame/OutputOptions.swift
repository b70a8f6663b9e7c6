import ArgumentParser
import Files
import Foundation

/// Options of every command that writes a file of the user's choice.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Replace output files that exist.")
  var force = false

  var policy: OutputPolicy { OutputPolicy(force: force) }

  /// Proves before the work that an output can be written.
  func check(_ path: String?) throws {
    if let path { try OutputFile.check(path, policy) }
  }

  /// Prints a command's words: to stdout, or to stderr if stdout takes the output itself.
  static func say(_ text: String, besides output: String) throws {
    if OutputFile.isStandardOutput(output) { StandardErrorLog.write(text) } else { try StandardOutput.write(text) }
  }

  /// The size of a regular file that was written.
  static func byteCount(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : 0
  }
}
