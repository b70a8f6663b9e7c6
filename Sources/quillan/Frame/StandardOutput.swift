import Foundation

/// The stream of results.
enum StandardOutput {
  /// The width available to tables: the terminal's, otherwise COLUMNS; 100 if neither is known, as under mpirun.
  static var width: Int {
    var size = winsize()
    if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    let named = ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 0
    return named > 0 ? named : 100
  }

  /// Writes all of the text, unbuffered.
  ///
  /// - Throws: `CommandError` if the text cannot be written, so that lost results are not a success.
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
        throw CommandError(
          .failure, at: "stdout", "cannot write the results (\(cause))", remedy: "check where stdout goes")
      }
      done += count
    }
  }
}
