import CKernels

// Row by row: rows are independent, so the division over threads changes no bit.

extension Matrix {
  /// Y ← Y + factor · X.
  public func add(_ x: Matrix, times factor: Float = 1) { vector.add(x.vector, times: factor) }

  /// Y ← Y / divisor.
  public func divide(by divisor: Float) { vector.divide(by: divisor) }

  /// Softmax of each row.
  public func applySoftmax() { Kernels.table.pointee.softmax(Int64(rows), Int64(columns), pointer, Int64(columns)) }

  /// Each row ← 2z − 1 for packed bits z [rows, ⌈columns/8⌉], least significant first.
  public func setSigns(_ z: ArrayView<UInt8>) {
    let bytes = (columns + 7) / 8
    for row in 0..<rows { self[row].setSigns(z.part(row * bytes..<(row + 1) * bytes)) }
  }

  /// RMS norm of each row into `y`: y = x · r · w with r = 1/sqrt(mean(x²) + ε), which `inverses` keeps.
  ///
  /// - Parameter weight: w; nil counts as ones.
  public func rmsNorm(weight: Vector?, epsilon: Float, into y: Matrix, inverses: Vector, _ pool: WorkerPool) {
    precondition(
      y.rows == rows && y.columns == columns && inverses.count == rows && weight.map { $0.count == columns } ?? true,
      "a norm of [\(rows), \(columns)] into [\(y.rows), \(y.columns)]")
    pool.split(rows, cost: .reduced(columns)) { _, range in
      Kernels.table.pointee.rms_norm(
        Int64(range.count), Int64(columns), row(range.lowerBound), weight?.pointer, epsilon, y.row(range.lowerBound),
        inverses.pointer + range.lowerBound)
    }
  }

  /// Backward of `rmsNorm` for the input x = self: adds to `dx`, and to `dWeight` unless it is nil, rows in order.
  public func rmsNormBackward(
    _ dy: Matrix, inverses: Vector, weight: Vector?, addingTo dx: Matrix, dWeight: Vector?
  ) {
    precondition(
      dy.rows == rows && dy.columns == columns && dx.rows == rows && dx.columns == columns && inverses.count == rows
        && weight.map { $0.count == columns } ?? true && dWeight.map { $0.count == columns } ?? true,
      "gradients [\(dy.rows), \(dy.columns)] of a norm of [\(rows), \(columns)]")
    Kernels.table.pointee.rms_norm_backward(
      Int64(rows), Int64(columns), pointer, weight?.pointer, inverses.pointer, dy.pointer, dx.pointer,
      dWeight?.pointer)
  }

  /// gelu(x) = x · Φ(x) of each number, into `y`.
  public func gelu(into y: Matrix, _ pool: WorkerPool) {
    precondition(y.count == count, "gelu of \(count) numbers into \(y.count)")
    pool.split(count, grain: VectorLanes.count, cost: .transcendental(1)) { _, range in
      Kernels.table.pointee.gelu(Int64(range.count), pointer + range.lowerBound, y.pointer + range.lowerBound)
    }
  }

  /// Backward of `gelu` for the input x = self: dy ← dy · gelu′(x).
  public func geluBackward(_ dy: Matrix, _ pool: WorkerPool) {
    precondition(dy.count == count, "gradients of \(dy.count) numbers of \(count)")
    pool.split(count, grain: VectorLanes.count, cost: .transcendental(1)) { _, range in
      Kernels.table.pointee.gelu_backward(
        Int64(range.count), pointer + range.lowerBound, dy.pointer + range.lowerBound)
    }
  }
}
