/// A list of at most `capacity` elements in an arena's memory, which the list must not outlive. Appending allocates
/// nothing.
///
/// Copying a value copies the view, not the elements: only one copy may append.
public struct ArenaList<Element: BitwiseCopyable>: RandomAccessCollection, BitwiseCopyable, @unchecked Sendable {
  /// The memory of the elements.
  public let pointer: UnsafeMutablePointer<Element>
  private let capacity: Int
  public private(set) var count = 0

  public init(_ type: Element.Type = Element.self, capacity: Int, in arena: Arena) {
    pointer = arena.allocate(type, capacity)
    self.capacity = capacity
  }

  /// `count` copies of `element`.
  public init(repeating element: Element, count: Int, in arena: Arena) {
    self.init(capacity: count, in: arena)
    pointer.initialize(repeating: element, count: count)
    self.count = count
  }

  /// `count` elements that the caller sets.
  public init(uninitialized count: Int, of type: Element.Type = Element.self, in arena: Arena) {
    self.init(type, capacity: count, in: arena)
    self.count = count
  }

  /// A copy of `elements`.
  public init(_ elements: [Element], in arena: Arena) {
    self.init(capacity: elements.count, in: arena)
    append(contentsOf: elements)
  }

  @inlinable public var startIndex: Int { 0 }
  @inlinable public var endIndex: Int { count }

  public mutating func append(_ element: Element) {
    precondition(count < capacity, "more than \(capacity) elements in a list")
    (pointer + count).initialize(to: element)
    count += 1
  }

  public mutating func append(contentsOf elements: [Element]) {
    elements.withUnsafeBufferPointer { append(contentsOf: $0) }
  }

  public mutating func append(contentsOf elements: UnsafeBufferPointer<Element>) {
    precondition(elements.count <= capacity - count, "more than \(capacity) elements in a list")
    guard let first = elements.baseAddress else { return }
    (pointer + count).initialize(from: first, count: elements.count)
    count += elements.count
  }

  /// The elements, for functions that take a buffer pointer.
  public var buffer: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: pointer, count: count) }

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
}
