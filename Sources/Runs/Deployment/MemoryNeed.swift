import Errors
import Foundation
import Planning

/// Rejects work that exceeds this machine's free memory, while a message can still be written.
public enum MemoryNeed {
  /// - Parameter purpose: the use of the bytes, for the message.
  /// - Throws: `MemoryError` if `bytes` more are not available.
  public static func check(bytes: Int, purpose: String) throws(MemoryError) {
    guard bytes > 64 << 20 else { return }
    // An untouched allocation reveals a limit of the process (ulimit -v).
    guard let probe = malloc(bytes) else { throw MemoryError(purpose: purpose, bytes: bytes) }
    free(probe)
    if let available = AvailableMemory.bytes, available < bytes { throw MemoryError(purpose: purpose, bytes: bytes) }
  }
}

/// Too little memory for a purpose.
public struct MemoryError: QuillanError, Equatable {
  public let purpose: String
  public let bytes: Int

  public var status: ErrorStatus { .failure }
  public var place: String? { purpose }
  public var problem: String { "needs \(FigureText.bytes(bytes)) of memory, more than is free" }
  public var remedy: String? { "end other programs, raise the limit, or use a mapped packed model" }
}
