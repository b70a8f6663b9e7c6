import Foundation

extension WorkerPool {
  /// Runs `body` over disjoint ranges that cover 0..<count. `body` returns the index of its first failure within the
  /// range, or a negative number. Returns the index of the first failure of all, however the loop is divided.
  public func firstFailure(_ count: Int, _ body: (Range<Int>) -> Int64) -> Int? {
    withUnsafeTemporaryAllocation(of: Int.self, capacity: threads) { failures in
      failures.initialize(repeating: count)
      split(count, grain: VectorLanes.count, cost: .moved(1)) { worker, range in
        let index = body(range)
        if index >= 0 { failures[worker] = range.lowerBound + Int(index) }
      }
      let first = failures.min() ?? count
      return first < count ? first : nil
    }
  }
}

extension AlignedBuffer {
  /// Sets every byte to zero, on all threads of `pool`.
  public func clear(_ pool: WorkerPool) { clear(0..<count, pool) }

  /// Sets every byte of the elements `part` to zero, on all threads of `pool`.
  public func clear(_ part: Range<Int>, _ pool: WorkerPool) {
    pool.split(part.count, grain: VectorLanes.count, cost: .cleared(1)) { _, range in
      memset(pointer + part.lowerBound + range.lowerBound, 0, range.count * MemoryLayout<Element>.stride)
    }
  }
}
