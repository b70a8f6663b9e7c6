import CKernels
import Foundation

/// A block of memory on a 64-byte boundary: owned and zero-filled, or a view of another object's.
///
/// The memory lives as long as the object; `pointer` must not outlive it. Several threads may read it at once, and
/// write disjoint parts.
public final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
  public let pointer: UnsafeMutablePointer<Element>
  public let count: Int
  /// Keeps memory alive that belongs to another object.
  private let owner: AnyObject?

  /// A view of `count` elements that belong to `owner`, for example a mapped file.
  ///
  /// - Precondition: `pointer` is on a 64-byte boundary.
  public init(_ pointer: UnsafeMutablePointer<Element>, count: Int, owner: AnyObject) {
    precondition(Int(bitPattern: pointer) % 64 == 0, "a view of memory that is not on a 64-byte boundary")
    self.pointer = pointer
    self.count = count
    self.owner = owner
  }

  /// Allocates `count` zeroed elements. If memory runs out, the process ends, as everywhere in Swift.
  public init(count: Int) {
    precondition(count >= 0, "a buffer of \(count) elements")
    let bytes = max(64, (count * MemoryLayout<Element>.stride + 63) & ~63)
    let raw = AlignedMemory.allocate(bytes)
    if bytes < CK_PAGES_LEAST { memset(raw, 0, bytes) }
    pointer = raw.bindMemory(to: Element.self, capacity: max(1, bytes / MemoryLayout<Element>.stride))
    self.count = count
    owner = nil
  }

  deinit {
    guard owner == nil else { return }
    AlignedMemory.free(pointer, max(64, (count * MemoryLayout<Element>.stride + 63) & ~63))
  }

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

/// Memory on a 64-byte boundary: large blocks are pages of their own, which come zeroed; others come from the heap.
enum AlignedMemory {
  static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    guard byteCount >= CK_PAGES_LEAST else { return .allocate(byteCount: byteCount, alignment: 64) }
    return ck_pages_allocate(Int64(byteCount))
  }

  /// - Parameter byteCount: the size that was allocated.
  static func free(_ pointer: UnsafeMutableRawPointer, _ byteCount: Int) {
    if byteCount >= CK_PAGES_LEAST {
      ck_pages_free(pointer, Int64(byteCount))
    } else {
      pointer.deallocate()
    }
  }
}
