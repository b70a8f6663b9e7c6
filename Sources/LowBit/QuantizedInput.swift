import CKernels
import Foundation
import Tensors

/// The activations of a linear layer in the form that its format uses: A8 codes, bfloat16-rounded values, or fp32
/// values.
///
/// Rows are tokens. The memory belongs to the arena that was passed at creation. Shapes: R rows, n columns (inputs).
public struct QuantizedInput: BitwiseCopyable, @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  private let form: Form

  private enum Form: BitwiseCopyable {
    /// fp32 and fp16: the values in use [R, n].
    case values(Matrix)
    /// bf16: words of two neighbouring values [R, ⌈n/2⌉].
    case words(BFloat16Operand)
    /// Integer formats: A8 codes.
    case codes(ck_activations)
  }

  /// Rounds or quantises `x` [R, n] for products with `weights`.
  public init(_ x: Matrix, for weights: PackedWeights, in arena: Arena, pool: WorkerPool) {
    self.init(of: x, for: weights, in: arena)
    if case .values = form { return }
    pool.split(x.rows, cost: .moved(x.columns)) { _, range in set(range, from: x) }
  }

  /// Memory for the rows of `x` [R, n], which `set` rounds or quantises later. fp32 and fp16 use the values of `x` itself.
  public init(of x: Matrix, for weights: PackedWeights, in arena: Arena) {
    precondition(x.columns == weights.columns, "inputs of \(x.columns) columns for weights of \(weights.columns)")
    switch weights.format {
    case .fp32, .fp16: self.init(values: x)
    case .bf16:
      self.init(
        rows: x.rows, columns: x.columns, .words(BFloat16Operand.rows(x.rows, columns: x.columns, in: arena)))
    case .ternary, .int4, .int8:
      self.init(
        rows: x.rows, columns: x.columns, .codes(ck_activations(rows: x.rows, like: weights.descriptor, in: arena)))
    }
  }

  /// Rounds or quantises rows `range` of the matrix that this memory is for.
  public func set(_ range: Range<Int>, from x: Matrix) {
    precondition(
      x.columns == columns && range.upperBound <= min(rows, x.rows),
      "rows \(range) of [\(x.rows), \(x.columns)] as inputs [\(rows), \(columns)]")
    switch form {
    case .values: break
    case .words(let operand): operand.setRows(x, range, columnScales: nil)
    case .codes(let codes):
      withUnsafePointer(to: codes.dropping(range.lowerBound)) {
        Kernels.table.pointee.quantize_a8(
          Int64(range.count), Int64(x.columns), x.row(range.lowerBound), Int64(x.columns), $0)
      }
    }
  }

  /// fp32 values as they are.
  public init(values x: Matrix) { self.init(rows: x.rows, columns: x.columns, .values(x)) }

  private init(rows: Int, columns: Int, _ form: Form) {
    self.rows = rows
    self.columns = columns
    self.form = form
  }

  /// Rows `range` of the same memory.
  public func rows(_ range: Range<Int>) -> QuantizedInput {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    let part: Form =
      switch form {
      case .values(let values): .values(values.rows(range))
      case .words(let operand): .words(operand.dropping(range.lowerBound))
      case .codes(let codes): .codes(codes.dropping(range.lowerBound))
      }
    return QuantizedInput(rows: range.count, columns: columns, part)
  }

  /// Copies row `indices[i]` to row i.
  public func gather(_ indices: ArrayView<Int32>, in arena: Arena) -> QuantizedInput {
    copy(count: indices.count, in: arena) { Int(indices[$0]) }
  }

  /// Copies the rows into the memory of `arena`.
  public func copy(in arena: Arena) -> QuantizedInput { copy(count: rows, in: arena) { $0 } }

  private func copy(count: Int, in arena: Arena, _ source: (Int) -> Int) -> QuantizedInput {
    switch form {
    case .values(let values):
      let out = arena.matrix(count, columns)
      for row in 0..<count { out[row].copy(from: values[source(row)]) }
      return QuantizedInput(values: out)
    case .words(let words):
      let out = BFloat16Operand.rows(count, columns: columns, in: arena)
      for row in 0..<count {
        let from = source(row)
        out.memory(row..<row + 1).copy(from: words.memory(from..<from + 1))
      }
      return QuantizedInput(rows: count, columns: columns, .words(out))
    case .codes(let codes):
      let out = ck_activations(rows: count, like: codes, in: arena)
      for row in 0..<count { out.copyRow(row, from: codes, source(row)) }
      return QuantizedInput(rows: count, columns: columns, .codes(out))
    }
  }

  /// The activation values in use [R, n].
  public func dequantized(in arena: Arena) -> Matrix {
    if case .values(let values) = form { return values }
    let out = arena.matrix(rows, columns)
    switch form {
    case .values: break
    case .words(let words):
      for row in 0..<rows {
        let source = words.memory(row..<row + 1)
        let target = out[row]
        for column in 0..<columns {
          let word = source[column / 2]
          target[column] = Float(bitPattern: column & 1 == 0 ? word << 16 : word & 0xffff_0000)
        }
      }
    case .codes(let codes):
      withUnsafePointer(to: codes) {
        Kernels.table.pointee.dequantize_a8(Int64(rows), $0, out.pointer, Int64(columns))
      }
    }
    return out
  }

  /// The rows as the right operand of weight gradients, in the memory of `arena`: pairs of neighbouring rows.
  ///
  /// Integer formats give their codes; the caller multiplies the other operand by `rowScales`.
  public func pairs(in arena: Arena) -> BFloat16Operand {
    let operand = BFloat16Operand.pairs(ofRows: rows, columns: columns, in: arena)
    if case .codes(let codes) = form {
      withUnsafePointer(to: codes) {
        Kernels.table.pointee.bf16_pairs_a8(
          Int64(rows), $0, operand.memory(0..<operand.pairs).pointer, Int64(operand.wordsPerUnit))
      }
    } else {
      arena.scoped { operand.setPairs(dequantized(in: arena), rowScales: nil) }
    }
    return operand
  }

  /// The scale of each row's codes; nil for floating formats.
  public var rowScales: Vector? {
    if case .codes(let codes) = form { Vector(codes.scales, count: rows) } else { nil }
  }

  /// y = x̂ Ŵᵀ + bias for one matrix of a stack, into `out` [R, outputs]. The order of each sum depends only on the
  /// format and the number of inputs.
  public func multiply(
    by weights: PackedWeights, matrix: Int = 0, bias: Vector?, into out: Matrix, pool: WorkerPool
  ) {
    precondition(
      out.rows == rows && out.columns == weights.rows && columns == weights.columns,
      "[\(rows), \(columns)] times weights [\(weights.rows), \(weights.columns)] into [\(out.rows), \(out.columns)]")
    multiply(by: weights, matrix: matrix, panels: 0..<weights.panels, bias: bias, into: out, pool: pool)
  }

  /// As above, only for outputs from 16·panels.lowerBound on, written from column 0 of `out`, which may have any row
  /// length.
  public func multiply(
    by weights: PackedWeights, matrix: Int = 0, panels: Range<Int>, bias: Vector?, into out: Matrix, pool: WorkerPool
  ) {
    precondition(bias.map { $0.count == weights.rows } ?? true, "a bias for other than \(weights.rows) outputs")
    guard rows > 0 else { return }
    let product = PackedProduct(input: self, weights: weights, matrix: matrix, bias: bias)
    let pool = pool.limited(multiplyAdds: rows * columns * panels.count * VectorLanes.count)
    // If work is divided by rows, every thread reads all weights. If those come from memory, that pays only for many
    // rows.
    let fitsCache = weights.descriptor.matrix_bytes <= 512 << 10
    if rows >= (fitsCache ? 8 : 16) * pool.threads {
      pool.split(rows, grain: 8) { _, range in product.run(range, panels, out.row(range.lowerBound), out.columns) }
    } else {
      pool.split(panels.count) { _, range in
        let part = panels.lowerBound + range.lowerBound..<panels.lowerBound + range.upperBound
        product.run(0..<rows, part, out.pointer + VectorLanes.count * range.lowerBound, out.columns)
      }
    }
  }

  /// As above, for outputs from 16·panels.lowerBound on, on this thread only and into any part of a matrix.
  public func multiply(
    by weights: PackedWeights, matrix: Int = 0, panels: Range<Int>, bias: Vector?, into out: MatrixPart
  ) {
    let outputs = weights.outputs(panels)
    precondition(
      out.rows == rows && out.columns == outputs.count && columns == weights.columns,
      "[\(rows), \(columns)] times rows \(outputs) of \(weights.columns) inputs into [\(out.rows), \(out.columns)]")
    guard rows > 0 else { return }
    PackedProduct(input: self, weights: weights, matrix: matrix, bias: bias).run(
      0..<rows, panels, out.pointer, out.stride)
  }

  /// A product with one matrix of a stack, of which threads take rows or panels.
  private struct PackedProduct {
    let input: QuantizedInput
    let weights: PackedWeights
    let matrix: Int
    let bias: Vector?

    /// - Parameters:
    ///   - out: the first number to write; its rows are `outRow` numbers apart.
    func run(_ range: Range<Int>, _ panels: Range<Int>, _ out: UnsafeMutablePointer<Float>, _ outRow: Int) {
      let (count, first, panelCount) = (Int64(range.count), Int64(panels.lowerBound), Int64(panels.count))
      switch input.form {
      case .values(let values):
        withUnsafePointer(to: weights.descriptor) {
          Kernels.table.pointee.gemm_packed(
            count, values.row(range.lowerBound), Int64(values.columns), $0, Int64(matrix), first, panelCount,
            bias?.pointer, out, Int64(outRow))
        }
      case .words(let words):
        let outputs = weights.outputs(panels)
        let product = BFloat16Product(
          words.dropping(range.lowerBound), weights.bfloat16Panels(matrix, from: panels.lowerBound))
        product.write(
          bias: bias?.part(outputs), to: MatrixPart(out, rows: range.count, columns: outputs.count, stride: outRow))
      case .codes(let codes):
        withUnsafePointer(to: weights.descriptor) { packed in
          withUnsafePointer(to: codes.dropping(range.lowerBound)) {
            Kernels.table.pointee.gemm_a8(
              count, $0, packed, Int64(matrix), first, panelCount, bias?.pointer, out, Int64(outRow))
          }
        }
      }
    }
  }
}

extension ck_activations {
  /// Memory for codes, scales and sums of `rows` rows for products with `weights`.
  fileprivate init(rows: Int, like weights: ck_packed, in arena: Arena) {
    self.init(rows: rows, groups: weights.groups, group: weights.group, padded: weights.group_padded, in: arena)
  }

  /// Memory for `rows` rows in the layout of `other`.
  fileprivate init(rows: Int, like other: ck_activations, in arena: Arena) {
    self.init(rows: rows, groups: other.groups, group: other.group, padded: other.group_padded, in: arena)
  }

  private init(rows: Int, groups: Int32, group: Int32, padded: Int32, in arena: Arena) {
    self.init(
      codes: arena.allocate(Int8.self, rows * Int(groups) * Int(padded)), scales: arena.allocate(Float.self, rows),
      sums: arena.allocate(Int32.self, rows * Int(groups)), groups: groups, group: group, group_padded: padded)
  }

  private var codesPerRow: Int { Int(groups) * Int(group_padded) }

  /// The rows from `row` on, of the same memory.
  fileprivate func dropping(_ row: Int) -> ck_activations {
    var result = self
    result.codes += row * codesPerRow
    result.scales += row
    result.sums += row * Int(groups)
    return result
  }

  fileprivate func copyRow(_ row: Int, from other: ck_activations, _ source: Int) {
    memcpy(codes + row * codesPerRow, other.codes + source * codesPerRow, codesPerRow)
    scales[row] = other.scales[source]
    memcpy(sums + row * Int(groups), other.sums + source * Int(groups), Int(groups) * MemoryLayout<Int32>.stride)
  }
}
