import Foundation

/// Refuses work that this machine has no memory for, while a message can still be written.
public enum MemoryNeed {
  /// - Parameter purpose: what the bytes are for, in the message.
  /// - Throws: `MemoryError` where the system would not give `bytes` more.
  public static func check(bytes: Int, purpose: String) throws(MemoryError) {
    guard bytes > 64 << 20 else { return }
    // A limit of the process (ulimit -v) shows in an allocation that is not touched.
    guard let probe = malloc(bytes) else { throw MemoryError(purpose: purpose, bytes: bytes) }
    free(probe)
    if let available, available < bytes { throw MemoryError(purpose: purpose, bytes: bytes) }
  }

  /// Bytes that the system can give without swapping (MemAvailable of Linux), where it says so.
  private static var available: Int? {
    guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
      let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    return kilobytes * 1024
  }
}

/// Too little memory for a purpose.
public struct MemoryError: Error, Equatable, CustomStringConvertible {
  public let purpose: String
  public let bytes: Int

  public var description: String {
    "\(purpose): needs \(FigureText.bytes(bytes)) of memory, which are not free; end other programs, raise the limit, "
      + "or use a mapped packed model"
  }
}
