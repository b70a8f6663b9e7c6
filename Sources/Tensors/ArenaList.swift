/// A list of at most `capacity` elements in an arena's memory, which it must not outlive; appending allocates nothing.
///
/// Copying a value copies the view, not the elements: only one copy may append.
public struct ArenaList<Element: BitwiseCopyable>: RandomAccessCollection, BitwiseCopyable, @unchecked Sendable {
  private let elements: UnsafeMutablePointer<Element>
  private let capacity: Int
  public private(set) var count = 0

  public init(_ type: Element.Type = Element.self, capacity: Int, in arena: Arena) {
    elements = arena.allocate(type, capacity)
    self.capacity = capacity
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { count }

  public mutating func append(_ element: Element) {
    precondition(count < capacity, "more than \(capacity) elements in a list")
    (elements + count).initialize(to: element)
    count += 1
  }

  public subscript(index: Int) -> Element {
    precondition(index >= 0 && index < count, "index \(index) of \(count)")
    return elements[index]
  }
}
