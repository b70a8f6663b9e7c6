/// A buffer of elements to transfer, aligned to 64 bytes.
///
/// It has one owner at a time: a non-blocking call takes it and its `Request` returns it, so nothing can touch or free
/// it in between. The compiler rejects a program that tries.
///
///     var gradient = TransferBuffer<Float>(count: 1 << 20)
///     gradient.withUnsafeMutableElements { fill($0) }
///     let request = try world.iAllReduce(gradient, .sum)   // `gradient` cannot be used from here on
///     ...
///     gradient = try request.wait()                        // until here
public struct TransferBuffer<Element: Transferable>: ~Copyable, @unchecked Sendable {
  /// The number of elements in use.
  public private(set) var count: Int
  /// The number of elements that fit without a new allocation.
  public private(set) var capacity: Int
  private var start: UnsafeMutablePointer<Element>

  /// Creates a buffer of zeros.
  public init(count: Int) {
    precondition(count >= 0, "a buffer of \(count) elements")
    self.count = count
    capacity = count
    start = Self.allocate(count)
    start.initialize(repeating: .zero, count: count)
  }

  /// Creates a buffer with a copy of `elements`.
  public init(_ elements: [Element]) {
    self.init(count: elements.count)
    elements.withUnsafeBufferPointer { _ = self.elements.update(fromContentsOf: $0) }
  }

  private static func allocate(_ count: Int) -> UnsafeMutablePointer<Element> {
    UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Element>.stride, alignment: 64)
      .bindMemory(to: Element.self, capacity: count)
  }

  deinit { start.deallocate() }

  /// Valid while the buffer is not moved or resized.
  var elements: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: start, count: count) }

  /// Changes the number of elements in use. Existing elements keep their values; new ones have any value. Allocates
  /// only if `count` exceeds the capacity.
  public mutating func resize(to count: Int) {
    precondition(count >= 0, "a buffer of \(count) elements")
    if count > capacity {
      let larger = Self.allocate(count)
      larger.initialize(repeating: .zero, count: count)
      larger.update(from: start, count: self.count)
      start.deallocate()
      start = larger
      capacity = count
    }
    self.count = count
  }

  public subscript(index: Int) -> Element {
    get {
      precondition(0..<count ~= index, "index \(index) of \(count) elements")
      return start[index]
    }
    set {
      precondition(0..<count ~= index, "index \(index) of \(count) elements")
      start[index] = newValue
    }
  }

  /// A copy of the elements.
  public var array: [Element] { Array(elements) }

  /// Lends the elements to `body`, which must not keep the pointer.
  public borrowing func withUnsafeElements<Result: ~Copyable, Failure>(
    _ body: (UnsafeBufferPointer<Element>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeBufferPointer(elements))
  }

  /// Lends the elements to `body`, which must not keep the pointer.
  public mutating func withUnsafeMutableElements<Result: ~Copyable, Failure>(
    _ body: (UnsafeMutableBufferPointer<Element>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(elements)
  }
}
