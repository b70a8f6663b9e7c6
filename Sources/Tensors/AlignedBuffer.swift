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
    precondition(
      Int(bitPattern: pointer).isMultiple(of: AlignedMemory.alignment),
      "a view of memory that is not on a 64-byte boundary")
    self.pointer = pointer
    self.count = count
    self.owner = owner
  }

  /// Allocates `count` zeroed elements. If memory runs out, the process ends, as everywhere in Swift.
  public init(count: Int) {
    precondition(count >= 0, "a buffer of \(count) elements")
    let bytes = Self.byteCount(count)
    let raw = AlignedMemory.allocate(bytes)
    if !AlignedMemory.isZeroed(bytes) { memset(raw, 0, bytes) }
    pointer = raw.bindMemory(to: Element.self, capacity: max(1, bytes / MemoryLayout<Element>.stride))
    self.count = count
    owner = nil
  }

  deinit {
    guard owner == nil else { return }
    AlignedMemory.free(pointer, Self.byteCount(count))
  }

  private static func byteCount(_ count: Int) -> Int {
    AlignedMemory.padded(max(1, count * MemoryLayout<Element>.stride))
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
