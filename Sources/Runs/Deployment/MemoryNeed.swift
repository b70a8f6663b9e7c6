import Errors
import Foundation
import Planning

/// Refuses work that this machine has no memory for, while a message can still be written.
public enum MemoryNeed {
  /// - Parameter purpose: what the bytes are for, in the message.
  /// - Throws: `MemoryError` where the system would not give `bytes` more.
  public static func check(bytes: Int, purpose: String) throws(MemoryError) {
    guard bytes > 64 << 20 else { return }
    // A limit of the process (ulimit -v) shows in an allocation that is not touched.
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
  public var problem: String { "needs \(FigureText.bytes(bytes)) of memory, which are not free" }
  public var remedy: String? { "end other programs, raise the limit, or use a mapped packed model" }
}
