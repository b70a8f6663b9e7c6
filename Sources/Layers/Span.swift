/// Rows first..<first + count of a packed batch: consecutive positions of one sequence, starting at `position`.
public struct Span: BitwiseCopyable, Sendable, Equatable {
  public let first: Int
  public let count: Int
  public let position: Int

  public init(first: Int, count: Int, position: Int = 0) {
    self.first = first
    self.count = count
    self.position = position
  }

  public var rows: Range<Int> { first..<first + count }
}
