import CKernels
import Foundation

/// Memory on a 64-byte boundary: large blocks are pages of their own, which come zeroed; others come from the heap.
package enum AlignedMemory {
  /// The boundary of blocks in bytes: one cache line, one vector of sixteen fp32 numbers.
  package static let alignment = 64

  /// `byteCount` rounded up to whole vectors.
  package static func padded(_ byteCount: Int) -> Int { (byteCount + alignment - 1) / alignment * alignment }

  /// Allocates a block. If memory runs out, the process ends with one line on standard error and exit code 1.
  package static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    guard isZeroed(byteCount) else { return .allocate(byteCount: byteCount, alignment: alignment) }
    guard let block = ck_pages_allocate(Int64(byteCount)) else { exhausted(byteCount) }
    return block
  }

  /// Whether a block of this size comes zeroed.
  package static func isZeroed(_ byteCount: Int) -> Bool { byteCount >= CK_PAGES_MINIMUM }

  /// - Parameter byteCount: the size that was allocated.
  package static func free(_ pointer: UnsafeMutableRawPointer, _ byteCount: Int) {
    if isZeroed(byteCount) {
      ck_pages_free(pointer, Int64(byteCount))
    } else {
      pointer.deallocate()
    }
  }

  private static func exhausted(_ byteCount: Int) -> Never {
    FileHandle.standardError.write(
      Data(
        """
        quillan: the system has no \(byteCount >> 20) MiB of memory left; use fewer tokens at once \
        (rl.accumulation_steps), optimizer.state=int8, checkpoint.copy=false or more ranks; 'quillan plan' estimates a \
        run's memory

        """.utf8))
    exit(1)
  }
}
