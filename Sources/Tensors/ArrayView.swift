/// Elements in memory that another object owns (an `Arena`, a buffer, a parameter store).
///
/// Copying a value copies the view, not the elements. The view must not outlive the owner.
public struct ArrayView<Element: BitwiseCopyable>: RandomAccessCollection, BitwiseCopyable, @unchecked Sendable {
  public let pointer: UnsafeMutablePointer<Element>
  public let count: Int

  @inlinable
  public init(_ pointer: UnsafeMutablePointer<Element>, count: Int) {
    self.pointer = pointer
    self.count = count
  }

  @inlinable public var startIndex: Int { 0 }
  @inlinable public var endIndex: Int { count }

  @inlinable
  public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count, "index \(index) of \(count)")
      return pointer[index]
    }
    nonmutating set {
      precondition(index >= 0 && index < count, "index \(index) of \(count)")
      pointer[index] = newValue
    }
  }

  /// The elements `range`, numbered from 0.
  @inlinable
  public func part(_ range: Range<Int>) -> ArrayView {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "elements \(range) of \(count)")
    return ArrayView(pointer + range.lowerBound, count: range.count)
  }

  /// Sets every element to `element`.
  @inlinable
  public func fill(_ element: Element) { pointer.update(repeating: element, count: count) }

  /// Copies as many elements as `other` has, to the start of this view.
  @inlinable
  public func copy(from other: ArrayView) {
    precondition(other.count <= count, "a copy of \(other.count) elements into \(count)")
    pointer.update(from: other.pointer, count: other.count)
  }

  /// The elements, for functions that take a buffer pointer.
  @inlinable
  public var buffer: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: pointer, count: count) }
}

/// A row of fp32 numbers.
public typealias Vector = ArrayView<Float>

extension ArenaList {
  /// The elements that the list has now.
  @inlinable
  public var view: ArrayView<Element> { ArrayView(pointer, count: count) }
}

extension AlignedBuffer {
  /// All elements.
  @inlinable
  public var view: ArrayView<Element> { ArrayView(pointer, count: count) }
}

extension Arena {
  /// Uninitialised memory for `count` elements.
  @inlinable
  public func view<Element: BitwiseCopyable>(_ type: Element.Type = Element.self, _ count: Int) -> ArrayView<Element> {
    ArrayView(allocate(type, count), count: count)
  }

  /// `count` copies of `element`.
  @inlinable
  public func view<Element: BitwiseCopyable>(repeating element: Element, count: Int) -> ArrayView<Element> {
    let result = view(Element.self, count)
    result.fill(element)
    return result
  }

  /// A copy of `elements`.
  @inlinable
  public func view<Element: BitwiseCopyable>(of elements: [Element]) -> ArrayView<Element> {
    let result = view(Element.self, elements.count)
    result.pointer.update(from: elements, count: elements.count)
    return result
  }
}
