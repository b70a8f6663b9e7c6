import CKernels

/// One AdamW step on one tensor: factors that are the same for all elements, in fp32. With fused multiply-adds:
///
///     g = clipScale · gradient
///     m ← β1 m + (1 − β1) g
///     v ← β2 v + (1 − β2) g²
///     w ← keep · w − stepSize · m / (sqrt(v) · rootCorrection + ε)
public struct AdamWStep: Sendable {
  private var factors: ck_adamw

  /// - Parameters:
  ///   - keep: 1 − learning rate · weight decay, or 1.
  ///   - stepSize: learning rate / (1 − β1ˢ).
  ///   - rootCorrection: 1 / sqrt(1 − β2ˢ).
  ///   - beta1: β1, and 1 − β1 rounded on its own; `beta2` likewise.
  public init(
    clipScale: Float, beta1: (Float, rest: Float), beta2: (Float, rest: Float), keep: Float, stepSize: Float,
    rootCorrection: Float, epsilon: Float
  ) {
    factors = ck_adamw(
      clip_scale: clipScale, beta1: beta1.0, rest1: beta1.rest, beta2: beta2.0, rest2: beta2.rest, keep: keep,
      step_size: stepSize, root_correction: rootCorrection, epsilon: epsilon)
  }

  /// Updates weights w and moments m and v in place.
  public func update(_ w: Vector, gradient: Vector, _ m: Vector, _ v: Vector) {
    precondition(
      gradient.count == w.count && m.count == w.count && v.count == w.count, "a step on \(w.count) elements")
    withUnsafePointer(to: factors) {
      Kernels.table.pointee.memory.pointee.adamw(
        Int64(w.count), $0, w.pointer, gradient.pointer, m.pointer, v.pointer)
    }
  }

  /// Updates weights w and 8-bit moments in place.
  ///
  /// - Parameters:
  ///   - first: index of the first element in its tensor, a multiple of `MomentCodes.blockLength`.
  ///   - key: of the stochastic rounding; differs between tensors and between steps.
  public func update(_ w: Vector, gradient: Vector, _ m: MomentCodes, root: MomentCodes, first: Int, key: UInt32) {
    precondition(
      gradient.count == w.count && m.codes.count == w.count && root.codes.count == w.count,
      "a step on \(w.count) elements")
    var (m, root) = (m.kernelMoment, root.kernelMoment)
    withUnsafePointer(to: factors) {
      Kernels.table.pointee.memory.pointee.adamw_8(
        Int64(w.count), $0, key, Int64(first), w.pointer, gradient.pointer, &m, &root)
    }
  }
}

/// A moment in 8 bits, from a block boundary on: a code for each element, and a scale for each block of `blockLength`
/// elements. `ck_memory.h` defines the codes and their rounding.
public struct MomentCodes: BitwiseCopyable, Sendable {
  /// Elements that share a scale.
  public static let blockLength = Int(CK_MOMENT_BLOCK)

  let codes: ArrayView<UInt8>
  let scales: Vector

  public init(codes: ArrayView<UInt8>, scales: Vector) {
    precondition(
      scales.count == (codes.count + Self.blockLength - 1) / Self.blockLength,
      "\(scales.count) scales of \(codes.count) codes")
    self.codes = codes
    self.scales = scales
  }

  fileprivate var kernelMoment: ck_moment { ck_moment(codes: codes.pointer, scales: scales.pointer) }
}
