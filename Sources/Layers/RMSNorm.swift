import Parameters
import Tensors

/// y = x / sqrt(mean(x²) + ε) · w, per token; w is 1 if the norm has no weight (Zhang and Sennrich, 2019,
/// arXiv:1910.07467).
public struct RMSNorm: Sendable {
  public let weight: ParameterID?
  public let epsilon: Float

  public init(weight: ParameterID?, epsilon: Float) {
    self.weight = weight
    self.epsilon = epsilon
  }

  /// Saved for the backward pass: the input and 1/sqrt(mean(x²) + ε) of each row.
  public struct Saved: BitwiseCopyable, @unchecked Sendable {
    let x: Matrix
    let inverse: UnsafeMutablePointer<Float>
  }

  public func forward(_ x: Matrix, _ weights: PackedModel, into y: Matrix, _ lane: Lane) -> Saved {
    let inverse = lane.arena.allocate(Float.self, x.rows)
    let w = weight.map { weights.values($0) }
    let saved = Saved(x: x, inverse: inverse)
    lane.pool.split(x.rows, least: max(1, 32768 / x.columns)) { _, range in
      Kernels.table.pointee.rms_norm(
        Int64(range.count), Int64(x.columns), x.row(range.lowerBound), w, epsilon, y.row(range.lowerBound),
        saved.inverse + range.lowerBound)
    }
    return saved
  }

  /// Adds to `dx` and to the weight's gradient, rows in order.
  public func backward(_ dy: Matrix, _ saved: Saved, _ weights: PackedModel, _ gradients: Gradients, into dx: Matrix) {
    Kernels.table.pointee.rms_norm_backward(
      Int64(dy.rows), Int64(dy.columns), saved.x.pointer, weight.map { weights.values($0) }, saved.inverse, dy.pointer,
      dx.pointer, weight.map { gradients.pointer($0) })
  }
}
