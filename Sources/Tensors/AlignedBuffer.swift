import Foundation

/// An owned, zero-filled block of memory on a 64-byte boundary.
///
/// The memory lives as long as the object; `pointer` must not outlive it. Several threads may read it at once, and
/// write disjoint parts.
public final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
  public let pointer: UnsafeMutablePointer<Element>
  public let count: Int

  /// Allocates `count` zeroed elements. Running out of memory ends the process, as everywhere in Swift.
  public init(count: Int) {
    precondition(count >= 0, "a buffer of \(count) elements")
    let bytes = max(64, (count * MemoryLayout<Element>.stride + 63) & ~63)
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    memset(raw, 0, bytes)
    pointer = raw.bindMemory(to: Element.self, capacity: max(1, bytes / MemoryLayout<Element>.stride))
    self.count = count
  }

  deinit { UnsafeMutableRawPointer(pointer).deallocate() }

  public var bufferPointer: UnsafeMutableBufferPointer<Element> { .init(start: pointer, count: count) }
  public var array: [Element] { Array(bufferPointer) }

  /// Sets every byte to zero.
  public func clear() { memset(UnsafeMutableRawPointer(pointer), 0, count * MemoryLayout<Element>.stride) }

  public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count, "index \(index) of \(count)")
      return pointer[index]
    }
    set {
      precondition(index >= 0 && index < count, "index \(index) of \(count)")
      pointer[index] = newValue
    }
  }
}
