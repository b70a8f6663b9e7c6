import Foundation

/// A row-major fp32 matrix [rows, columns] in memory that another object owns (an `Arena`, a parameter store).
///
/// Copying a value copies the view, not the numbers. The view must not outlive the owner.
public struct Matrix: BitwiseCopyable, @unchecked Sendable {
  public let pointer: UnsafeMutablePointer<Float>
  public let rows: Int
  public let columns: Int

  @inlinable
  public init(_ pointer: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
    self.pointer = pointer
    self.rows = rows
    self.columns = columns
  }

  @inlinable public var count: Int { rows * columns }
  @inlinable public func row(_ index: Int) -> UnsafeMutablePointer<Float> { pointer + index * columns }

  /// Rows `range` of the same memory.
  @inlinable
  public func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    return Matrix(row(range.lowerBound), rows: range.count, columns: columns)
  }

  public func clear() { memset(pointer, 0, count * MemoryLayout<Float>.stride) }

  public func copy(from other: Matrix) {
    precondition(
      rows == other.rows && columns == other.columns,
      "copy of [\(other.rows), \(other.columns)] into [\(rows), \(columns)]")
    memcpy(pointer, other.pointer, count * MemoryLayout<Float>.stride)
  }

  public var array: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}
