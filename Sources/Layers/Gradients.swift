import Parameters
import Tensors

/// Where a backward pass adds its gradients.
public struct Gradients: Sendable {
  public let store: ParameterStore
  /// Whether gradient products take their operands rounded to bfloat16 (`use_mixed_precision`); sums stay fp32.
  public let mixedPrecision: Bool

  public init(_ store: ParameterStore, mixedPrecision: Bool) {
    self.store = store
    self.mixedPrecision = mixedPrecision
  }

  func pointer(_ id: ParameterID) -> UnsafeMutablePointer<Float> { store.pointer(id) }

  /// The operand of a gradient product: `x` itself, or a copy rounded to bfloat16 in scratch memory.
  func operand(_ x: Matrix, _ lane: Lane) -> Matrix {
    guard mixedPrecision else { return x }
    let rounded = lane.scratch.matrix(x.rows, x.columns)
    lane.pool.split(x.count, grain: 16, least: 65536) { _, range in
      Kernels.table.pointee.round_bf16(
        Int64(range.count), x.pointer + range.lowerBound, rounded.pointer + range.lowerBound)
    }
    return rounded
  }
}
