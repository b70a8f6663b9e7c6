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

  /// Row `index`.
  @inlinable
  public subscript(index: Int) -> Vector {
    precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
    return Vector(row(index), count: columns)
  }

  /// All numbers, row after row.
  @inlinable public var vector: Vector { Vector(pointer, count: count) }

  /// Rows `range` of the same memory.
  @inlinable
  public func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    return Matrix(row(range.lowerBound), rows: range.count, columns: columns)
  }

  /// Columns `columns` of rows `rows` of the same memory.
  public func part(rows range: Range<Int>, columns selected: Range<Int>) -> MatrixPart {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= rows && selected.lowerBound >= 0 && selected.upperBound <= columns,
      "rows \(range) and columns \(selected) of [\(rows), \(columns)]")
    return MatrixPart(
      row(range.lowerBound) + selected.lowerBound, rows: range.count, columns: selected.count,
      stride: columns)
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

/// Neighbouring columns of neighbouring rows of a matrix: rows of `columns` numbers that begin `stride` numbers apart.
public struct MatrixPart: BitwiseCopyable, @unchecked Sendable {
  public let pointer: UnsafeMutablePointer<Float>
  public let rows: Int
  public let columns: Int
  public let stride: Int

  /// Rows that begin at `pointer`.
  public init(_ pointer: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int) {
    self.pointer = pointer
    self.rows = rows
    self.columns = columns
    self.stride = stride
  }

  /// Row `index` of the part.
  public subscript(index: Int) -> Vector {
    precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
    return Vector(pointer + index * stride, count: columns)
  }
}
