import LowBit
import Parameters
import Tensors

/// Products of the backward pass: dX = dY·Ŵ and dW = dYᵀ·x̂. Shapes: T tokens (rows of dY), W [outputs, inputs].
///
/// With mixed precision both operands are bfloat16 and sums are fp32. Codes of ternary, int4 and int8 values are exact
/// in bfloat16, so a scale that applies to a whole row or token moves to the other operand: the row scales of ternary
/// and int8 weights and the token scales of A8 inputs multiply dY. int4 has a scale per group of inputs, so its values
/// are rounded. Without mixed precision the operands are fp32.
extension Linear {
  /// Adds dY·Ŵ to `dx` [T, inputs] for `dy` [T, outputs].
  func inputGradient(_ dy: Matrix, matrix: Int = 0, into dx: Matrix, _ pass: BackwardLane) {
    guard dy.rows > 0 else { return }
    let packed = pass.weights.weights(weight)
    precondition(
      dy.columns == packed.rows && dx.rows == dy.rows && dx.columns == packed.columns,
      "[\(dy.rows), \(dy.columns)] times [\(packed.rows), \(packed.columns)] into [\(dx.rows), \(dx.columns)]")
    pass.scratch.scoped {
      if pass.gradients.mixedPrecision {
        addMixedInputGradient(dy, matrix, packed, to: dx, pass.lane)
      } else {
        let values = pass.scratch.matrix(packed.rows, packed.columns)
        pass.pool.split(packed.rows, cost: .moved(packed.columns)) { _, range in
          packed.unpack(matrix, rows: range, into: values.rows(range))
        }
        dx.addProduct(dy, values, pass.pool)
      }
    }
  }

  private func addMixedInputGradient(
    _ dy: Matrix, _ matrix: Int, _ packed: PackedWeights, to dx: Matrix, _ lane: Lane
  ) {
    // Scales of whole rows of W belong to the reduced dimension of dY·Ŵ, so they can multiply dY; then the right operand
    // holds codes, which are exact.
    let rowScales = packed.rowScales(matrix)
    let left = BFloat16Operand.rows(dy.rows, columns: dy.columns, in: lane.scratch)
    lane.pool.split(dy.rows, cost: .moved(dy.columns)) { _, range in left.setRows(dy, range, columnScales: rowScales) }
    // Unpack a few panels at a time, so that their values are still in the cache when they are multiplied; an even
    // number, because the kernel multiplies two panels at once.
    let panels = VectorLanes.panels(packed.columns)
    let wordsPerPanel = left.pairs * VectorLanes.count
    let block = max(2, min(panels, Self.cachedWords / wordsPerPanel) & ~1)
    let blocks = (panels + block - 1) / block
    let buffers = BFloat16Operand.panels(min(blocks, lane.pool.threads) * block, pairs: left.pairs, in: lane.scratch)
    lane.pool.each(blocks, cost: .multiplyAdds(dy.rows * packed.rows * block * VectorLanes.count)) { worker, index in
      let range = index * block..<min((index + 1) * block, panels)
      let right = buffers.dropping(worker * block)
      packed.transposedPanels(matrix, range, codes: rowScales != nil, into: right)
      let columns = range.lowerBound * VectorLanes.count..<min(range.upperBound * VectorLanes.count, packed.columns)
      BFloat16Product(left, right).add(to: dx.part(rows: 0..<dy.rows, columns: columns))
    }
  }

  /// Words of unpacked panels that stay in the second-level cache (256 KiB).
  private static let cachedWords = 65536

  /// Adds dYᵀ·x̂ to the weight's gradient and the column sums of dY to the bias's gradient, rows in order.
  ///
  /// If the weight is a stack and there is a ledger, the ledger defers the weight's product.
  func parameterGradient(_ dy: Matrix, _ input: QuantizedInput, matrix: Int = 0, _ pass: BackwardLane) {
    guard dy.rows > 0 else { return }
    let gradients = pass.gradients
    if let bias {
      let sum = gradients.rows(bias)[matrix]
      for row in 0..<dy.rows { sum.add(dy[row]) }
    }
    if let ledger = gradients.ledger, gradients.store.table[weight].matrices > 1 {
      return ledger.add(weight, matrix: matrix, dy, input)
    }
    let target = gradients.rows(weight).rows(matrix * dy.columns..<(matrix + 1) * dy.columns)
    pass.addWeightGradient(dy, input, to: target)
  }

  /// Both gradients of one product; adds to `dx` unless it is nil.
  public func backward(
    _ dy: Matrix, _ input: QuantizedInput, matrix: Int = 0, into dx: Matrix?, _ pass: BackwardLane
  ) {
    if let dx { inputGradient(dy, matrix: matrix, into: dx, pass) }
    parameterGradient(dy, input, matrix: matrix, pass)
  }
}

extension BackwardLane {
  /// Tokens whose bfloat16 operands are made at a time; their order in a sum is that of the tokens.
  private static let tokensPerBlock = 512

  /// C ← C + dYᵀ·x̂ with C [outputs, inputs], on the threads of the lane; tokens are added in order.
  func addWeightGradient(_ dy: Matrix, _ input: QuantizedInput, to c: Matrix) {
    scratch.scoped {
      guard gradients.mixedPrecision else {
        return c.addTransposedProduct(dy, input.dequantized(in: scratch), pool)
      }
      for first in stride(from: 0, to: dy.rows, by: Self.tokensPerBlock) {
        scratch.scoped {
          let rows = first..<min(first + Self.tokensPerBlock, dy.rows)
          let part = input.rows(rows)
          let left = BFloat16Operand.pairs(ofRows: rows.count, columns: dy.columns, in: scratch)
          left.setPairs(dy.rows(rows), rowScales: part.rowScales)
          c.addProduct(left, part.pairs(in: scratch), pool)
        }
      }
    }
  }

  /// dX ← dX + dY·W for unpacked values W [outputs, inputs].
  func addInputGradient(_ dy: Matrix, _ values: Matrix, to dx: Matrix) {
    if gradients.mixedPrecision {
      dx.addMixedProduct(dy, values, lane)
    } else {
      dx.addProduct(dy, values, pool)
    }
  }
}
