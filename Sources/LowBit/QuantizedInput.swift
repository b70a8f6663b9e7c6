import CKernels
import Foundation
import Tensors

/// The activations of a linear layer in the form that its format uses: A8 codes, bfloat16-rounded values, or fp32
/// values.
///
/// Rows are tokens. The memory belongs to the arena that was passed at creation.
public struct QuantizedInput: BitwiseCopyable, @unchecked Sendable {
  public let rows: Int
  public let columns: Int
  /// fp32 and fp16: the values in use [rows, columns].
  let values: UnsafeMutablePointer<Float>?
  /// bf16: words of two neighbouring values [rows, ⌈columns/2⌉].
  let words: UnsafeMutablePointer<UInt32>?
  /// Integer formats: A8 codes.
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
      words = nil
      activations = ck_activations()
    case .bf16:
      let pairs = (x.columns + 1) / 2
      let rounded = UncheckedSendable(arena.allocate(UInt32.self, x.rows * pairs))
      pool.split(x.rows, least: max(1, 65536 / x.columns)) { _, range in
        Kernels.table.pointee.bf16_rows(
          Int64(range.count), Int64(x.columns), x.row(range.lowerBound), Int64(x.columns), nil,
          rounded.value + range.lowerBound * pairs, Int64(pairs))
      }
      values = nil
      words = rounded.value
      activations = ck_activations()
    case .ternary, .int4, .int8:
      values = nil
      words = nil
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

  /// fp32 values as they are.
  public init(values x: Matrix) { self.init(rows: x.rows, columns: x.columns, values: x.pointer) }

  private init(
    rows: Int, columns: Int, values: UnsafeMutablePointer<Float>? = nil, words: UnsafeMutablePointer<UInt32>? = nil,
    activations: ck_activations = ck_activations()
  ) {
    self.rows = rows
    self.columns = columns
    self.values = values
    self.words = words
    self.activations = activations
  }

  private var pairs: Int { (columns + 1) / 2 }
  private var isInteger: Bool { values == nil && words == nil }

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
      words: words.map { $0 + range.lowerBound * pairs },
      activations: isInteger ? from(range.lowerBound) : activations)
  }

  /// Copies row `indices[i]` to row i, for `count` rows.
  public func gather(_ indices: UnsafePointer<Int32>, count: Int, in arena: Arena) -> QuantizedInput {
    copy(count: count, in: arena) { Int(indices[$0]) }
  }

  /// Copies the rows into the memory of `arena`.
  public func copy(in arena: Arena) -> QuantizedInput { copy(count: rows, in: arena) { $0 } }

  private func copy(count: Int, in arena: Arena, _ source: (Int) -> Int) -> QuantizedInput {
    if let values {
      let out = arena.allocate(Float.self, count * columns)
      for row in 0..<count { memcpy(out + row * columns, values + source(row) * columns, columns * 4) }
      return QuantizedInput(rows: count, columns: columns, values: out)
    }
    if let words {
      let out = arena.allocate(UInt32.self, count * pairs)
      for row in 0..<count { memcpy(out + row * pairs, words + source(row) * pairs, pairs * 4) }
      return QuantizedInput(rows: count, columns: columns, words: out)
    }
    let groups = Int(activations.groups)
    let out = ck_activations(
      codes: arena.allocate(Int8.self, count * codesPerRow), scales: arena.allocate(Float.self, count),
      sums: arena.allocate(Int32.self, count * groups),
      groups: activations.groups, group: activations.group, group_padded: activations.group_padded)
    for row in 0..<count {
      let from = source(row)
      memcpy(out.codes + row * codesPerRow, activations.codes + from * codesPerRow, codesPerRow)
      out.scales[row] = activations.scales[from]
      memcpy(out.sums + row * groups, activations.sums + from * groups, groups * 4)
    }
    return QuantizedInput(rows: count, columns: columns, activations: out)
  }

  /// The activation values in use [rows, columns].
  public func dequantized(in arena: Arena) -> Matrix {
    if let values { return Matrix(values, rows: rows, columns: columns) }
    let out = arena.matrix(rows, columns)
    if let words {
      for row in 0..<rows {
        let target = out.row(row)
        for column in 0..<columns {
          let word = words[row * pairs + column / 2]
          target[column] = Float(bitPattern: column & 1 == 0 ? word << 16 : word & 0xffff_0000)
        }
      }
    } else {
      withUnsafePointer(to: activations) {
        Kernels.table.pointee.dequantize_a8(Int64(rows), $0, out.pointer, Int64(columns))
      }
    }
    return out
  }

  /// bfloat16 words of neighbouring rows, for weight gradients: word [pair of rows, column], `stride` words per pair.
  ///
  /// Integer formats give their codes; the caller multiplies the other operand by `rowScales`.
  public func pairs(into words: UnsafeMutablePointer<UInt32>, stride: Int, scratch: Arena) {
    precondition(stride >= columns + 15, "a stride of \(stride) words for \(columns) columns")
    if isInteger {
      withUnsafePointer(to: activations) {
        Kernels.table.pointee.bf16_pairs_a8(Int64(rows), $0, words, Int64(stride))
      }
    } else {
      scratch.scoped {
        let values = dequantized(in: scratch)
        Kernels.table.pointee.bf16_pairs(
          Int64(rows), Int64(columns), values.pointer, Int64(columns), nil, words, Int64(stride))
      }
    }
  }

  /// The scale of each row's codes; nil for floating formats.
  public var rowScales: UnsafePointer<Float>? { isInteger ? UnsafePointer(activations.scales) : nil }

  /// y = x̂ Ŵᵀ + bias for one matrix of a stack, into `out` [rows, outputs]. The order of each sum depends only on the
  /// format and the number of inputs.
  public func multiply(
    by weights: PackedWeights, matrix: Int = 0, bias: UnsafePointer<Float>?, into out: Matrix, pool: WorkerPool
  ) {
    precondition(
      out.rows == rows && out.columns == weights.rows && columns == weights.columns,
      "[\(rows), \(columns)] times weights [\(weights.rows), \(weights.columns)] into [\(out.rows), \(out.columns)]")
    multiply(by: weights, matrix: matrix, panels: 0..<weights.panels, bias: bias, into: out, pool: pool)
  }

  /// As above, only for outputs from 16·panels.lowerBound on, written from column 0 of `out`, which may have any row
  /// length.
  public func multiply(
    by weights: PackedWeights, matrix: Int = 0, panels: Range<Int>, bias: UnsafePointer<Float>?, into out: Matrix,
    pool: WorkerPool
  ) {
    guard rows > 0 else { return }
    let bias = UncheckedSendable(bias)
    let operations = 2 * rows * columns * panels.count * 16
    let worth = max(1, operations / 200_000)
    let narrowed = WorkerPool(threads: min(pool.threads, worth))
    // If work is divided by rows, every thread reads all weights. If those come from memory, that pays only for many
    // rows.
    let fitsCache = weights.descriptor.matrix_bytes <= 512 << 10
    if rows >= (fitsCache ? 8 : 16) * narrowed.threads {
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
      } else if let words {
        let panelWords = pairs * 16
        let data = UnsafeRawPointer(weights.data.pointer + matrix * Int(packed.pointee.matrix_bytes))
          .assumingMemoryBound(to: UInt32.self)
        var part = ck_bf16_product(
          a: words + range.lowerBound * pairs, a_row: Int64(pairs), a_pair: 1,
          b: data + panels.lowerBound * panelWords, b_panel: Int64(panelWords), b_pair: 16, pairs: Int64(pairs))
        let outputs = min(weights.rows, 16 * panels.upperBound) - 16 * panels.lowerBound
        Kernels.table.pointee.gemm_bf16(
          Int64(range.count), Int64(outputs), &part, 1, bias.map { $0 + 16 * panels.lowerBound }, out, Int64(outRow),
          false)
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
