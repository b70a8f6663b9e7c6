import CKernels
import LowBit
import Parameters
import Tensors

/// Products of the backward pass: dX = dY·Ŵ and dW = dYᵀ·x̂.
///
/// With mixed precision both operands are bfloat16 and sums are fp32. Codes of ternary, int4 and int8 values are exact
/// in bfloat16, so a scale that applies to a whole row or token moves to the other operand: the row scales of ternary
/// and int8 weights and the token scales of A8 inputs multiply dY. int4 has a scale per group of inputs, so its values
/// are rounded. Without mixed precision the operands are fp32.
extension Linear {
  /// Adds dY·Ŵ to `dx` [T, inputs] for `dy` [T, outputs].
  func inputGradient(
    _ dy: Matrix, matrix: Int = 0, _ weights: PackedModel, _ gradients: Gradients, into dx: Matrix, _ lane: Lane
  ) {
    guard dy.rows > 0 else { return }
    let packed = weights.weights(weight)
    precondition(
      dy.columns == packed.rows && dx.rows == dy.rows && dx.columns == packed.columns,
      "[\(dy.rows), \(dy.columns)] times [\(packed.rows), \(packed.columns)] into [\(dx.rows), \(dx.columns)]")
    lane.scratch.scoped {
      if gradients.mixedPrecision {
        mixedInputGradient(dy, matrix, packed, dx, lane)
      } else {
        let values = lane.scratch.matrix(packed.rows, packed.columns)
        lane.pool.split(packed.rows, least: max(1, 65536 / packed.columns)) { _, range in
          packed.unpack(matrix, rows: range, into: values.row(range.lowerBound))
        }
        addProduct(dy, values, to: dx, lane.pool)
      }
    }
  }

  private func mixedInputGradient(
    _ dy: Matrix, _ matrix: Int, _ packed: PackedWeights, _ dx: Matrix, _ lane: Lane
  ) {
    let pairs = (packed.rows + 1) / 2
    let words = UncheckedSendable(lane.scratch.allocate(UInt32.self, dy.rows * pairs))
    let rowScales = UncheckedSendable(packed.rowScales(matrix))
    lane.pool.split(dy.rows, least: max(1, 65536 / dy.columns)) { _, range in
      Kernels.table.pointee.bf16_rows(
        Int64(range.count), Int64(dy.columns), dy.row(range.lowerBound), Int64(dy.columns), rowScales.value,
        words.value + range.lowerBound * pairs, Int64(pairs))
    }
    // A few panels at a time, so that unpacked values are still in the cache when they are multiplied.
    let panels = VectorLanes.panels(packed.columns)
    let block = max(2, min(panels, 65536 / (pairs * 16)) & ~1)
    let blocks = (panels + block - 1) / block
    let buffer = UncheckedSendable(
      lane.scratch.allocate(UInt32.self, min(blocks, lane.pool.threads) * block * pairs * 16))
    lane.pool.each(blocks, least: max(1, 200_000 / (dy.rows * packed.rows * block * 32))) { worker, index in
      let first = index * block
      let count = min(block, panels - first)
      let values = buffer.value + worker * block * pairs * 16
      withUnsafePointer(to: packed.descriptor) {
        Kernels.table.pointee.bf16_panels(
          $0, Int64(matrix), Int64(first), Int64(count), rowScales.value != nil, values)
      }
      var part = ck_bf16_product(
        a: words.value, a_row: Int64(pairs), a_pair: 1, b: values, b_panel: Int64(pairs * 16), b_pair: 16,
        pairs: Int64(pairs))
      Kernels.table.pointee.gemm_bf16(
        Int64(dy.rows), Int64(min(16 * count, packed.columns - 16 * first)), &part, 1, nil, dx.pointer + 16 * first,
        Int64(dx.columns), true)
    }
  }

  /// Adds dYᵀ·x̂ to the weight's gradient and the column sums of dY to the bias's gradient, rows in order.
  ///
  /// If the weight is a stack and there is a ledger, the ledger defers the weight's product.
  func parameterGradient(
    _ dy: Matrix, _ input: QuantizedInput, matrix: Int = 0, _ gradients: Gradients, _ lane: Lane
  ) {
    guard dy.rows > 0 else { return }
    if let bias {
      let sum = gradients.pointer(bias) + matrix * dy.columns
      for row in 0..<dy.rows { Kernels.table.pointee.add_scaled(Int64(dy.columns), 1, dy.row(row), sum) }
    }
    if let ledger = gradients.ledger, gradients.store.table[weight].matrices > 1 {
      return ledger.add(weight, matrix: matrix, dy, input)
    }
    let target = Matrix(
      gradients.pointer(weight) + matrix * dy.columns * input.columns, rows: dy.columns, columns: input.columns)
    lane.scratch.scoped {
      if gradients.mixedPrecision {
        addWeightGradient(dy, input, to: target, lane)
      } else {
        addOuterProduct(dy, input.dequantized(in: lane.scratch), to: target, lane.pool)
      }
    }
  }

  /// Both gradients of one product; adds to `dx` unless it is nil.
  public func backward(
    _ dy: Matrix, _ input: QuantizedInput, matrix: Int = 0, _ weights: PackedModel, _ gradients: Gradients,
    into dx: Matrix?, _ lane: Lane
  ) {
    if let dx { inputGradient(dy, matrix: matrix, weights, gradients, into: dx, lane) }
    parameterGradient(dy, input, matrix: matrix, gradients, lane)
  }
}

/// C += dYᵀ·x̂ in bfloat16, on the threads of `lane`; tokens are added in order, in blocks.
func addWeightGradient(_ dy: Matrix, _ input: QuantizedInput, to c: Matrix, _ lane: Lane) {
  let stretch = 512
  let (outputs, inputs) = (Words.stride(dy.columns), Words.stride(input.columns))
  for first in stride(from: 0, to: dy.rows, by: stretch) {
    lane.scratch.scoped {
      let rows = first..<min(first + stretch, dy.rows)
      let part = input.rows(rows)
      let pairs = (rows.count + 1) / 2
      let a = UncheckedSendable(lane.scratch.allocate(UInt32.self, pairs * outputs))
      Words.pairs(dy.rows(rows), rowScales: part.rowScales, into: a.value)
      let b = UncheckedSendable(lane.scratch.allocate(UInt32.self, pairs * inputs))
      part.pairs(into: b.value, stride: inputs, scratch: lane.scratch)
      lane.pool.split(c.rows, grain: 8, least: max(8, 200_000 / (rows.count * c.columns))) { _, range in
        var product = ck_bf16_product(
          a: a.value + range.lowerBound, a_row: 1, a_pair: Int64(outputs), b: b.value, b_panel: 16,
          b_pair: Int64(inputs), pairs: Int64(pairs))
        Kernels.table.pointee.gemm_bf16(
          Int64(range.count), Int64(c.columns), &product, 1, nil, c.row(range.lowerBound), Int64(c.columns), true)
      }
    }
  }
}

/// C += A·B in bfloat16 with A [M, K] and B [K, N].
func addMixedProduct(_ a: Matrix, _ b: Matrix, to c: Matrix, _ lane: Lane) {
  let pairs = (a.columns + 1) / 2
  let words = UncheckedSendable(lane.scratch.allocate(UInt32.self, a.rows * pairs))
  let values = UncheckedSendable(lane.scratch.allocate(UInt32.self, pairs * Words.stride(b.columns)))
  lane.pool.split(pairs, least: max(1, 32768 / b.columns)) { _, range in
    Words.pairs(
      b.rows(2 * range.lowerBound..<min(2 * range.upperBound, b.rows)), rowScales: nil,
      into: values.value + range.lowerBound * Words.stride(b.columns))
  }
  lane.pool.split(a.rows, grain: 8, least: max(8, 100_000 / max(1, b.count))) { _, range in
    Kernels.table.pointee.bf16_rows(
      Int64(range.count), Int64(a.columns), a.row(range.lowerBound), Int64(a.columns), nil,
      words.value + range.lowerBound * pairs, Int64(pairs))
    var product = ck_bf16_product(
      a: words.value + range.lowerBound * pairs, a_row: Int64(pairs), a_pair: 1, b: values.value, b_panel: 16,
      b_pair: Int64(Words.stride(b.columns)), pairs: Int64(pairs))
    Kernels.table.pointee.gemm_bf16(
      Int64(range.count), Int64(b.columns), &product, 1, nil, c.row(range.lowerBound), Int64(c.columns), true)
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
