import CKernels

// GEMMs of fp32 matrices. Each number of C is one chain of operations in the order of the reduced dimension, so the
// division over threads changes no bit. Threads take multiples of eight rows, the register tile.

extension Matrix {
  /// Rows of C that one register tile of the kernels has.
  private static let tile = 8

  /// C ← C + A·B with A [M, K] and B [K, N], in fp32 with fused multiply-adds.
  public func addProduct(_ a: Matrix, _ b: Matrix, _ pool: WorkerPool) {
    precondition(
      a.columns == b.rows && rows == a.rows && columns == b.columns,
      "[\(a.rows), \(a.columns)] times [\(b.rows), \(b.columns)] into [\(rows), \(columns)]")
    pool.split(a.rows, grain: Self.tile, cost: .multiplyAdds(b.count)) { _, range in
      Kernels.table.pointee.gemm_f32(
        Int64(range.count), Int64(b.columns), Int64(b.rows), a.row(range.lowerBound), Int64(a.columns), 1, b.pointer,
        Int64(b.columns), nil, row(range.lowerBound), Int64(columns), true)
    }
  }

  /// C ← C + Aᵀ·B with A [K, M] and B [K, N], in fp32 with fused multiply-adds.
  public func addTransposedProduct(_ a: Matrix, _ b: Matrix, _ pool: WorkerPool) {
    precondition(
      a.rows == b.rows && rows == a.columns && columns == b.columns,
      "transpose of [\(a.rows), \(a.columns)] times [\(b.rows), \(b.columns)] into [\(rows), \(columns)]")
    pool.split(a.columns, grain: Self.tile, cost: .multiplyAdds(b.count)) { _, range in
      Kernels.table.pointee.gemm_f32(
        Int64(range.count), Int64(b.columns), Int64(a.rows), a.pointer + range.lowerBound, 1, Int64(a.columns),
        b.pointer, Int64(b.columns), nil, row(range.lowerBound), Int64(columns), true)
    }
  }

  /// C ← C + A·B with A [M, K] and B [K, N], both rounded to bfloat16, summed in fp32.
  public func addMixedProduct(_ a: Matrix, _ b: Matrix, _ lane: Lane) {
    precondition(
      a.columns == b.rows && rows == a.rows && columns == b.columns,
      "[\(a.rows), \(a.columns)] times [\(b.rows), \(b.columns)] into [\(rows), \(columns)]")
    let left = BFloat16Operand.rows(a.rows, columns: a.columns, in: lane.scratch)
    let right = BFloat16Operand.pairs(ofRows: b.rows, columns: b.columns, in: lane.scratch)
    lane.pool.split(right.pairs, cost: .moved(2 * b.columns)) { _, range in
      right.setPairs(
        b.rows(2 * range.lowerBound..<min(2 * range.upperBound, b.rows)), from: range.lowerBound, rowScales: nil)
    }
    // A thread rounds its own rows of A, which are then in its cache.
    lane.pool.split(a.rows, grain: Self.tile, cost: .multiplyAdds(b.count)) { _, range in
      left.setRows(a, range, columnScales: nil)
      BFloat16Product(left.dropping(range.lowerBound), right).add(to: part(rows: range, columns: 0..<columns))
    }
  }

  /// C ← C + A·B with bfloat16 operands, where A has the layout [pair, row].
  public func addProduct(_ a: BFloat16Operand, _ b: BFloat16Operand, _ pool: WorkerPool) {
    pool.split(rows, grain: Self.tile, cost: .multiplyAdds(a.pairs * columns)) { _, range in
      BFloat16Product(a.dropping(range.lowerBound), b).add(to: part(rows: range, columns: 0..<columns))
    }
  }
}
