import CKernels
import Tensors

/// The activations of a linear layer as its format uses them: A8 codes, bfloat16-rounded values, or the values.
///
/// Rows are tokens. Memory belongs to the arena it was made in.
public struct QuantizedInput: @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  /// For floating formats: the values in use [rows, columns].
  let values: UnsafeMutablePointer<Float>?
  let activations: ck_activations

  /// Rounds or quantises `x` [T, inputs] for products with `weights`.
  public init(_ x: Matrix, for weights: PackedWeights, in arena: Arena, pool: WorkerPool) {
    precondition(x.columns == weights.columns, "inputs of \(x.columns) columns for weights of \(weights.columns)")
    rows = x.rows
    columns = x.columns
    let shape = weights.descriptor
    switch weights.format {
    case .fp32, .fp16:
      values = x.pointer
      activations = ck_activations()
    case .bf16:
      let rounded = arena.allocate(Float.self, x.count)
      let source = Unowned(x)
      let target = Unowned(rounded)
      pool.split(x.rows, least: max(1, 65536 / x.columns)) { _, range in
        Kernels.table.pointee.round_bf16(
          Int64(range.count * source.value.columns), source.value.row(range.lowerBound),
          target.value + range.lowerBound * source.value.columns)
      }
      values = rounded
      activations = ck_activations()
    case .ternary, .int4, .int8:
      values = nil
      activations = Self.allocate(rows: x.rows, like: shape, in: arena)
      let input = self
      pool.split(x.rows, least: max(1, 65536 / x.columns)) { _, range in
        withUnsafePointer(to: input.from(range.lowerBound)) {
          Kernels.table.pointee.quantize_a8(
            Int64(range.count), Int64(x.columns), x.row(range.lowerBound), Int64(x.columns), $0)
        }
      }
    }
  }

  private init(rows: Int, columns: Int, values: UnsafeMutablePointer<Float>?, activations: ck_activations) {
    self.rows = rows
    self.columns = columns
    self.values = values
    self.activations = activations
  }

  private static func allocate(rows: Int, like shape: ck_packed, in arena: Arena) -> ck_activations {
    ck_activations(
      codes: arena.allocate(Int8.self, rows * Int(shape.groups) * Int(shape.group_padded)),
      scales: arena.allocate(Float.self, rows),
      sums: arena.allocate(Int32.self, rows * Int(shape.groups)),
      groups: shape.groups, group: shape.group, group_padded: shape.group_padded)
  }

  private var codesPerRow: Int { Int(activations.groups) * Int(activations.group_padded) }

  private func from(_ row: Int) -> ck_activations {
    var result = activations
    result.codes += row * codesPerRow
    result.scales += row
    result.sums += row * Int(activations.groups)
    return result
  }

  /// Rows `range` of the same memory.
  public func rows(_ range: Range<Int>) -> QuantizedInput {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    return QuantizedInput(
      rows: range.count, columns: columns, values: values.map { $0 + range.lowerBound * columns },
      activations: values == nil ? from(range.lowerBound) : activations)
  }

  /// Row `indices[i]` as row i, for `count` rows.
  public func gather(_ indices: UnsafePointer<Int32>, count: Int, in arena: Arena) -> QuantizedInput {
    if let values {
      let out = arena.allocate(Float.self, count * columns)
      for row in 0..<count {
        (out + row * columns).update(from: values + Int(indices[row]) * columns, count: columns)
      }
      return QuantizedInput(rows: count, columns: columns, values: out, activations: activations)
    }
    let groups = Int(activations.groups)
    let out = ck_activations(
      codes: arena.allocate(Int8.self, count * codesPerRow), scales: arena.allocate(Float.self, count),
      sums: arena.allocate(Int32.self, count * groups),
      groups: activations.groups, group: activations.group, group_padded: activations.group_padded)
    for row in 0..<count {
      let from = Int(indices[row])
      (out.codes + row * codesPerRow).update(from: activations.codes + from * codesPerRow, count: codesPerRow)
      out.scales[row] = activations.scales[from]
      (out.sums + row * groups).update(from: activations.sums + from * groups, count: groups)
    }
    return QuantizedInput(rows: count, columns: columns, values: nil, activations: out)
  }

  /// The activation values in use [rows, columns]: what the weight gradient multiplies.
  public func dequantized(in arena: Arena) -> Matrix {
    if let values { return Matrix(values, rows: rows, columns: columns) }
    let out = arena.matrix(rows, columns)
    let group = Int(activations.group)
    let padded = Int(activations.group_padded)
    for row in 0..<rows {
      let scale = activations.scales[row]
      for block in 0..<Int(activations.groups) {
        let codes = activations.codes + row * codesPerRow + block * padded
        let target = out.row(row) + block * group
        for index in 0..<group { target[index] = scale * Float(codes[index]) }
      }
    }
    return out
  }

  /// y = x̂ Ŵᵀ + bias for one matrix of a stack, into `out` [rows, outputs]. The order of every sum depends on the
  /// format and the number of inputs alone.
  public func multiply(
    by weights: PackedWeights, matrix: Int = 0, bias: UnsafePointer<Float>?, into out: Matrix, pool: WorkerPool
  ) {
    precondition(
      out.rows == rows && out.columns == weights.rows && columns == weights.columns,
      "[\(rows), \(columns)] times weights [\(weights.rows), \(weights.columns)] into [\(out.rows), \(out.columns)]")
    multiply(by: weights, matrix: matrix, panels: 0..<weights.panels, bias: bias, into: out, pool: pool)
  }

  /// The same for outputs 16·panels.lowerBound onwards only, written from column 0 of `out`, whose row length is free.
  public func multiply(
    by weights: PackedWeights, matrix: Int = 0, panels: Range<Int>, bias: UnsafePointer<Float>?, into out: Matrix,
    pool: WorkerPool
  ) {
    guard rows > 0 else { return }
    let bias = Unowned(bias)
    let operations = 2 * rows * columns * panels.count * 16
    let worth = max(1, operations / 200_000)
    let narrowed = WorkerPool(threads: min(pool.threads, worth))
    if rows >= 16 * narrowed.threads {
      narrowed.split(rows, grain: 8) { _, range in
        product(range, panels, weights, matrix, bias.value, out.row(range.lowerBound), out.columns)
      }
    } else {
      narrowed.split(panels.count) { _, range in
        let part = panels.lowerBound + range.lowerBound..<panels.lowerBound + range.upperBound
        product(0..<rows, part, weights, matrix, bias.value, out.pointer + 16 * range.lowerBound, out.columns)
      }
    }
  }

  private func product(
    _ range: Range<Int>, _ panels: Range<Int>, _ weights: PackedWeights, _ matrix: Int, _ bias: UnsafePointer<Float>?,
    _ out: UnsafeMutablePointer<Float>, _ outRow: Int
  ) {
    withUnsafePointer(to: weights.descriptor) { packed in
      if let values {
        Kernels.table.pointee.gemm_packed(
          Int64(range.count), values + range.lowerBound * columns, Int64(columns), packed, Int64(matrix),
          Int64(panels.lowerBound), Int64(panels.count), bias, out, Int64(outRow))
      } else {
        withUnsafePointer(to: from(range.lowerBound)) {
          Kernels.table.pointee.gemm_a8(
            Int64(range.count), $0, packed, Int64(matrix), Int64(panels.lowerBound), Int64(panels.count), bias, out,
            Int64(outRow))
        }
      }
    }
  }
}
