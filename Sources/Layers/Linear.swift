import LowBit
import Parameters
import Tensors

/// y = x Wᵀ + b, or a stack of such layers; W [outputs, inputs] in its number format.
///
/// Straight-through gradients: dX = dY·Ŵ and dW = dYᵀ·x̂ with the values in use, no clipping mask
/// (Bengio, Léonard and Courville, 2013, arXiv:1308.3432).
public struct Linear: Sendable {
  public let weight: ParameterID
  public let bias: ParameterID?

  public init(weight: ParameterID, bias: ParameterID? = nil) {
    self.weight = weight
    self.bias = bias
  }

  /// Quantises `x` [T, inputs] once for all products with this weight.
  public func input(_ x: Matrix, _ weights: PackedModel, _ lane: Lane) -> QuantizedInput {
    QuantizedInput(x, for: weights.weights(weight), in: lane.arena, pool: lane.pool)
  }

  /// Matrix `matrix` of the stack times `input`, into `out` [T, outputs].
  public func forward(_ input: QuantizedInput, matrix: Int = 0, _ weights: PackedModel, into out: Matrix, _ lane: Lane)
  {
    input.multiply(
      by: weights.weights(weight), matrix: matrix,
      bias: bias.map { UnsafePointer(weights.values($0)) + matrix * out.columns },
      into: out, pool: lane.pool)
  }

  /// Adds dY·Ŵ to `dx` [T, inputs]; `dy` [T, outputs] is an operand of `Gradients.operand`.
  func inputGradient(
    _ dy: Matrix, matrix: Int = 0, _ weights: PackedModel, _ gradients: Gradients, into dx: Matrix, _ lane: Lane
  ) {
    guard dy.rows > 0 else { return }
    let packed = weights.weights(weight)
    lane.scratch.scoped {
      let values = lane.scratch.matrix(packed.rows, packed.columns)
      lane.pool.split(packed.rows, least: max(1, 65536 / packed.columns)) { _, range in
        packed.unpack(matrix, rows: range, into: values.row(range.lowerBound))
      }
      addProduct(dy, gradients.operand(values, lane), to: dx, lane.pool)
    }
  }

  /// Adds dYᵀ·x̂ to the weight's gradient and the column sums of `exact` dY to the bias's.
  func parameterGradient(
    _ dy: Matrix, exact: Matrix, _ input: Matrix, matrix: Int = 0, _ gradients: Gradients, _ lane: Lane
  ) {
    guard dy.rows > 0 else { return }
    let target = gradients.pointer(weight) + matrix * dy.columns * input.columns
    addOuterProduct(dy, input, to: Matrix(target, rows: dy.columns, columns: input.columns), lane.pool)
    guard let bias else { return }
    let sum = gradients.pointer(bias) + matrix * exact.columns
    for row in 0..<exact.rows { Kernels.table.pointee.add_scaled(Int64(exact.columns), 1, exact.row(row), sum) }
  }

  /// Both gradients of one product: adds to `dx` where it is wanted.
  public func backward(
    _ dy: Matrix, _ input: QuantizedInput, matrix: Int = 0, _ weights: PackedModel, _ gradients: Gradients,
    into dx: Matrix?, _ lane: Lane
  ) {
    lane.scratch.scoped {
      let operand = gradients.operand(dy, lane)
      if let dx { inputGradient(operand, matrix: matrix, weights, gradients, into: dx, lane) }
      let values = gradients.operand(input.dequantized(in: lane.scratch), lane)
      parameterGradient(operand, exact: dy, values, matrix: matrix, gradients, lane)
    }
  }
}

/// C += A·B with A [M, K] and B [K, N]; one chain of fused multiply-adds over K per element.
func addProduct(_ a: Matrix, _ b: Matrix, to c: Matrix, _ pool: WorkerPool) {
  precondition(
    a.columns == b.rows && c.rows == a.rows && c.columns == b.columns,
    "[\(a.rows), \(a.columns)] times [\(b.rows), \(b.columns)] into [\(c.rows), \(c.columns)]")
  pool.split(a.rows, grain: 8, least: max(8, 100_000 / max(1, b.count))) { _, range in
    Kernels.table.pointee.gemm_f32(
      Int64(range.count), Int64(b.columns), Int64(b.rows), a.row(range.lowerBound), Int64(a.columns), 1, b.pointer,
      Int64(b.columns), nil, c.row(range.lowerBound), Int64(c.columns), true)
  }
}

/// C += Aᵀ·B with A [K, M] and B [K, N]: the sum over tokens goes in row order.
func addOuterProduct(_ a: Matrix, _ b: Matrix, to c: Matrix, _ pool: WorkerPool) {
  precondition(
    a.rows == b.rows && c.rows == a.columns && c.columns == b.columns,
    "transpose of [\(a.rows), \(a.columns)] times [\(b.rows), \(b.columns)] into [\(c.rows), \(c.columns)]")
  pool.split(a.columns, grain: 8, least: max(8, 100_000 / max(1, b.count))) { _, range in
    Kernels.table.pointee.gemm_f32(
      Int64(range.count), Int64(b.columns), Int64(a.rows), a.pointer + range.lowerBound, 1, Int64(a.columns),
      b.pointer, Int64(b.columns), nil, c.row(range.lowerBound), Int64(c.columns), true)
  }
}
