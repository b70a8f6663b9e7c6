/// A list of at most `capacity` elements in an arena's memory, which the list must not outlive. Appending allocates
/// nothing.
///
/// Copying a value copies the view, not the elements: only one copy may append.
public struct ArenaList<Element: BitwiseCopyable>: RandomAccessCollection, BitwiseCopyable, @unchecked Sendable {
  /// The memory of the elements.
  public let pointer: UnsafeMutablePointer<Element>
  @usableFromInline let capacity: Int
  @usableFromInline var used: Int

  @inlinable
  public init(_ type: Element.Type = Element.self, capacity: Int, in arena: Arena) {
    pointer = arena.allocate(type, capacity)
    self.capacity = capacity
    used = 0
  }

  /// `count` copies of `element`.
  @inlinable
  public init(repeating element: Element, count: Int, in arena: Arena) {
    self.init(capacity: count, in: arena)
    pointer.initialize(repeating: element, count: count)
    used = count
  }

  /// `count` elements that the caller sets.
  @inlinable
  public init(uninitialized count: Int, of type: Element.Type = Element.self, in arena: Arena) {
    self.init(type, capacity: count, in: arena)
    used = count
  }

  /// A copy of `elements`.
  @inlinable
  public init(_ elements: [Element], in arena: Arena) {
    self.init(capacity: elements.count, in: arena)
    append(contentsOf: elements)
  }

  @inlinable public var count: Int { used }
  @inlinable public var startIndex: Int { 0 }
  @inlinable public var endIndex: Int { used }

  @inlinable
  public mutating func append(_ element: Element) {
    precondition(used < capacity, "more than \(capacity) elements in a list")
    (pointer + used).initialize(to: element)
    used += 1
  }

  @inlinable
  public mutating func append(contentsOf elements: [Element]) {
    elements.withUnsafeBufferPointer { append(contentsOf: $0) }
  }

  @inlinable
  public mutating func append(contentsOf elements: UnsafeBufferPointer<Element>) {
    precondition(elements.count <= capacity - used, "more than \(capacity) elements in a list")
    guard let first = elements.baseAddress else { return }
    (pointer + used).initialize(from: first, count: elements.count)
    used += elements.count
  }

  /// The elements, for functions that take a buffer pointer.
  @inlinable public var buffer: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: pointer, count: used) }

  @inlinable
  public subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < used, "index \(index) of \(used)")
      return pointer[index]
    }
    nonmutating set {
      precondition(index >= 0 && index < used, "index \(index) of \(used)")
      pointer[index] = newValue
    }
  }
}
