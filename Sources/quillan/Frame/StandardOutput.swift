import Foundation

/// The stream of results.
enum StandardOutput {
  /// Writes text, at once and whole: results that did not arrive are an error, not a success.
  static func write(_ text: String) throws {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Foundation.write(STDOUT_FILENO, buffer.baseAddress.map { $0 + done }, buffer.count - done)
      }
      if count < 0 {
        if errno == EINTR { continue }
        let cause = String(cString: strerror(errno))
        throw CommandError(.failed, "stdout: cannot write the results (\(cause)); check where they go")
      }
      done += count
    }
  }
}
