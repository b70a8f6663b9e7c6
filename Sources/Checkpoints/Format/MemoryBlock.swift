import Tensors

/// Bytes that live as long as the object.
final class MemoryBlock: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  let byteCount: Int

  init(byteCount: Int) {
    self.byteCount = byteCount
    pointer = AlignedMemory.allocate(max(1, byteCount))
  }

  deinit { AlignedMemory.free(pointer, max(1, byteCount)) }
}
