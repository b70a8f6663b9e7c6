import CKernels
import Synchronization
import Tensors

/// Sums as 64-bit fixed point with quantum 2⁻⁵⁰: integers, so that a sum does not depend on the order of its terms.
///
/// Where a sum leaves 64 bits, the rest is carried into a second integer, which exists only then. What a sum is, and
/// whether it can be taken, follows from its terms alone, whichever rank added which and in whatever order: the only
/// terms that cannot be added are those that are not finite or not below ±2⁴⁰.
public final class FixedPointSums: @unchecked Sendable {
  /// What has no place in 64 bits, of each element, in 2⁴⁸ quanta; nil while there is none.
  private let carried = Mutex<AlignedBuffer<Int64>?>(nil)
  public let low: AlignedBuffer<Int64>
  /// So small that as many ranks' sums together stay within 64 bits.
  private let bound: Int64

  public init(count: Int, ranks: Int) {
    low = AlignedBuffer(count: count)
    bound = (Int64(1) << 62) / Int64(max(2, ranks))
  }

  public var count: Int { low.count }

  /// The second integers, if any were needed since `clear`.
  public var high: AlignedBuffer<Int64>? { carried.withLock { $0 } }

  /// The same, made if there are none: for sums over ranks of which one has some.
  public func makeHigh() -> AlignedBuffer<Int64> {
    carried.withLock { buffer in
      if let buffer { return buffer }
      let new = AlignedBuffer<Int64>(count: low.count)
      buffer = new
      return new
    }
  }

  /// Adds `count` values to the elements from `first`; one thread at a time for each element.
  ///
  /// - Returns: the index of the first value that cannot be added, or nil.
  public func add(_ values: UnsafePointer<Float>, count: Int, at first: Int) -> Int? {
    var done = 0
    while done < count {
      let place = Int(ck_fixed_add(Int64(count - done), bound, values + done, low.pointer + first + done))
      guard place >= 0 else { return nil }
      done += place
      guard ck_fixed_carry(values[done], low.pointer + first + done, makeHigh().pointer + first + done) else {
        return done
      }
      done += 1
    }
    return nil
  }

  /// Forgets all sums.
  public func clear(_ pool: WorkerPool) {
    low.clear(pool)
    carried.withLock { $0 = nil }
  }

  /// The sums of elements in fp32.
  public func read(_ range: Range<Int>, into values: UnsafeMutablePointer<Float>) {
    if let high {
      ck_fixed_read_wide(
        Int64(range.count), low.pointer + range.lowerBound, high.pointer + range.lowerBound, values)
    } else {
      ck_fixed_read(Int64(range.count), low.pointer + range.lowerBound, values)
    }
  }
}
