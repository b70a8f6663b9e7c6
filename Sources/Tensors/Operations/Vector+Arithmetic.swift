import CKernels

// Operations of the kernel table on rows of fp32 numbers. Every operation gives the same bits on every instruction set.

extension ArrayView<Float> {
  /// y ← y + factor · x, with one fused multiply-add per element.
  public func add(_ x: Vector, times factor: Float = 1) {
    requireCount(of: x)
    Kernels.table.pointee.add_scaled(Int64(count), factor, x.pointer, pointer)
  }

  /// y ← factor · x; x may be y itself.
  public func set(_ x: Vector, times factor: Float) {
    requireCount(of: x)
    Kernels.table.pointee.scale(Int64(count), factor, x.pointer, pointer)
  }

  /// y ← factor · y.
  public func scale(by factor: Float) { set(self, times: factor) }

  /// y ← y / divisor.
  public func divide(by divisor: Float) { for index in 0..<count { pointer[index] /= divisor } }

  /// y ← x ⊙ w.
  public func setProduct(_ x: Vector, _ w: Vector) {
    requireCount(of: x)
    requireCount(of: w)
    Kernels.table.pointee.multiply(Int64(count), x.pointer, w.pointer, pointer)
  }

  /// Backward of y = x ⊙ w, for this gradient dy: dw ← dw + dy ⊙ x, then dy ← dy ⊙ w.
  public func setProductBackward(_ x: Vector, _ w: Vector, addingTo dw: Vector) {
    requireCount(of: x)
    requireCount(of: w)
    requireCount(of: dw)
    Kernels.table.pointee.multiply_backward(Int64(count), x.pointer, w.pointer, pointer, dw.pointer)
  }

  /// ⟨x, y⟩, summed in sixteen lanes.
  public func dot(_ y: Vector) -> Float {
    requireCount(of: y)
    return Kernels.table.pointee.dot(Int64(count), pointer, y.pointer)
  }

  /// Σ x² in float64, summed in eight lanes.
  public var squaredSum: Double { Kernels.table.pointee.sum_squares(Int64(count), pointer) }

  /// x ← exp(x).
  public func exponentiate() { Kernels.table.pointee.exponential(Int64(count), pointer, pointer) }

  /// x ← 1/(1 + exp(−x)).
  public func applySigmoid() { Kernels.table.pointee.sigmoid(Int64(count), pointer, pointer) }

  /// x ← exp(x)/Σ exp(x).
  public func applySoftmax() { Kernels.table.pointee.softmax(1, Int64(count), pointer, Int64(count)) }

  /// y ← 2z − 1 for packed bits z, least significant first.
  public func setSigns(_ z: ArrayView<UInt8>) {
    precondition(z.count >= (count + 7) / 8, "\(z.count) bytes for \(count) bits")
    Kernels.table.pointee.signs(Int64(count), z.pointer, pointer)
  }

  /// The cross-entropy of packed bits z against these logits x, in nats: Σ max(x, 0) − z·x + log(1 + e^−|x|). Replaces
  /// the logits by their gradients times `factor`: x ← (sigmoid(x) − z) · factor.
  public func bitEntropy(_ z: ArrayView<UInt8>, gradientTimes factor: Float) -> Double {
    precondition(z.count >= (count + 7) / 8, "\(z.count) bytes for \(count) bits")
    return Kernels.table.pointee.bit_entropy(Int64(count), pointer, z.pointer, factor)
  }

  private func requireCount(of other: Vector) {
    precondition(other.count == count, "an operation on rows of \(count) and \(other.count) numbers")
  }
}
