import LowBit
import Parameters
import Tensors

/// y = x Wᵀ + b, or a stack of such layers; W [outputs, inputs] in its number format.
///
/// Straight-through gradients: dX = dY·Ŵ and dW = dYᵀ·x̂ with the values in use, no clipping mask
/// (Bengio, Léonard and Courville, 2013, arXiv:1308.3432). Shapes: T tokens.
public struct Linear: Sendable {
  public let weight: ParameterID
  public let bias: ParameterID?

  public init(weight: ParameterID, bias: ParameterID? = nil) {
    self.weight = weight
    self.bias = bias
  }

  /// Quantises `x` [T, inputs] once for all products with this weight.
  public func input(_ x: Matrix, _ pass: ForwardLane) -> QuantizedInput {
    QuantizedInput(x, for: pass.weights.weights(weight), in: pass.arena, pool: pass.pool)
  }

  /// Matrix `matrix` of the stack times `input`, into `out` [T, outputs].
  public func forward(_ input: QuantizedInput, matrix: Int = 0, into out: Matrix, _ pass: ForwardLane) {
    forward(input, matrix: matrix, into: out, pass.weights, pass.pool)
  }

  /// As above; allocates nothing, so that it can be a stage of a region.
  func forward(
    _ input: QuantizedInput, matrix: Int = 0, into out: Matrix, _ weights: PackedModel, _ pool: WorkerPool
  ) {
    input.multiply(
      by: weights.weights(weight), matrix: matrix, bias: bias.map { weights.rows($0)[matrix] }, into: out, pool: pool)
  }
}
