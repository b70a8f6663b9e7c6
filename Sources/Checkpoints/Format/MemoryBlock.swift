import CKernels

/// Bytes that live as long as the object.
final class MemoryBlock: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  let byteCount: Int

  init(byteCount: Int) {
    self.byteCount = byteCount
    if byteCount >= CK_PAGES_LEAST {
      pointer = ck_pages_allocate(Int64(byteCount))
    } else {
      pointer = .allocate(byteCount: max(64, byteCount), alignment: 64)
    }
  }

  deinit {
    if byteCount >= CK_PAGES_LEAST {
      ck_pages_free(pointer, Int64(byteCount))
    } else {
      pointer.deallocate()
    }
  }
}
