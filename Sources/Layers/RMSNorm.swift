import Parameters
import Tensors

/// y = x / sqrt(mean(x²) + ε) · w, per token; w is 1 if the norm has no weight (Zhang and Sennrich, 2019,
/// arXiv:1910.07467). Shapes: x and y [T tokens, d], w [d].
public struct RMSNorm: Sendable {
  public let weight: ParameterID?
  public let epsilon: Float

  public init(weight: ParameterID?, epsilon: Float) {
    self.weight = weight
    self.epsilon = epsilon
  }

  /// Saved for the backward pass: the input and 1/sqrt(mean(x²) + ε) of each row.
  public struct Saved: BitwiseCopyable, Sendable {
    let x: Matrix
    let inverses: Vector
  }

  public func forward(_ x: Matrix, into y: Matrix, _ pass: ForwardLane) -> Saved {
    let saved = prepared(x, in: pass.arena)
    x.rmsNorm(weight: vector(pass.weights), epsilon: epsilon, into: y, inverses: saved.inverses, pass.pool)
    return saved
  }

  /// Memory for the norm of `x`, which `forward` of its rows fills later.
  func prepared(_ x: Matrix, in arena: Arena) -> Saved { Saved(x: x, inverses: arena.vector(x.rows)) }

  /// The norm of rows `range` of the matrix that `saved` is for, on this thread.
  func forward(_ saved: Saved, rows range: Range<Int>, into y: Matrix, _ weights: PackedModel) {
    saved.x.rows(range).rmsNorm(
      weight: vector(weights), epsilon: epsilon, into: y.rows(range), inverses: saved.inverses.part(range),
      WorkerPool(threads: 1))
  }

  /// Adds to `dx` and to the weight's gradient, rows in order.
  public func backward(_ dy: Matrix, _ saved: Saved, into dx: Matrix, _ pass: BackwardLane) {
    saved.x.rmsNormBackward(
      dy, inverses: saved.inverses, weight: vector(pass.weights), addingTo: dx,
      dWeight: weight.map { pass.gradients.rows($0).vector })
  }

  private func vector(_ weights: PackedModel) -> Vector? { weight.map { weights.rows($0).vector } }
}
