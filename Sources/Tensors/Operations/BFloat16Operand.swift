import CKernels

/// An operand of bfloat16 GEMMs: 32-bit words of two neighbouring values of the reduced dimension, the even one in the
/// low half.
///
/// Shapes: M rows or N columns of the product, K reduced. K is padded with zeros to an even number.
public struct BFloat16Operand: BitwiseCopyable, @unchecked Sendable {
  enum Layout {
    /// [row, pair]: the rows of a matrix [M, K]. Left operand only.
    case rows
    /// [pair, column]: pairs of rows of a matrix [K, M] or [K, N]. Either operand.
    case pairs
    /// [panel of sixteen columns, pair, column]. Right operand only.
    case panels
  }

  let words: UnsafeMutablePointer<UInt32>
  let layout: Layout
  /// Number of pairs of the reduced dimension.
  public let pairs: Int
  /// Words of one row, of one pair, or of one panel.
  let stride: Int

  init(words: UnsafeMutablePointer<UInt32>, layout: Layout, pairs: Int, stride: Int) {
    self.words = words
    self.layout = layout
    self.pairs = pairs
    self.stride = stride
  }

  /// Number of words for one pair of rows of `columns` values: whole panels, and one more panel so that neighbouring
  /// pairs do not fall into the same cache set.
  public static func pairStride(_ columns: Int) -> Int { VectorLanes.padded(columns) + VectorLanes.count }

  /// Memory for `count` rows of `columns` values each, to be set by `setRows`.
  public static func rows(_ count: Int, columns: Int, in arena: Arena) -> BFloat16Operand {
    let pairs = (columns + 1) / 2
    return BFloat16Operand(
      words: arena.allocate(UInt32.self, count * pairs), layout: .rows, pairs: pairs, stride: pairs)
  }

  /// Memory for pairs of `count` rows of `columns` values each, to be set by `setPairs`.
  public static func pairs(ofRows count: Int, columns: Int, in arena: Arena) -> BFloat16Operand {
    let pairs = (count + 1) / 2
    let stride = pairStride(columns)
    return BFloat16Operand(
      words: arena.allocate(UInt32.self, pairs * stride), layout: .pairs, pairs: pairs, stride: stride)
  }

  /// Memory for `count` panels of sixteen columns of `pairs` pairs each.
  public static func panels(_ count: Int, pairs: Int, in arena: Arena) -> BFloat16Operand {
    let stride = pairs * VectorLanes.count
    return BFloat16Operand(
      words: arena.allocate(UInt32.self, count * stride), layout: .panels, pairs: pairs, stride: stride)
  }

  /// Panels that exist already, as packed bfloat16 weights have them.
  public static func panels(_ words: UnsafeMutablePointer<UInt32>, pairs: Int) -> BFloat16Operand {
    BFloat16Operand(words: words, layout: .panels, pairs: pairs, stride: pairs * VectorLanes.count)
  }

  /// The operand from row or column `first` of the product on; for panels, from panel `first` on.
  public func dropping(_ first: Int) -> BFloat16Operand {
    BFloat16Operand(
      words: words + (layout == .pairs ? first : first * stride), layout: layout, pairs: pairs, stride: stride)
  }

  /// All words of rows `range`, of pairs `range`, or of panels `range`, for functions that fill them.
  public func memory(_ range: Range<Int>) -> ArrayView<UInt32> {
    ArrayView(words + range.lowerBound * stride, count: range.count * stride)
  }

  /// Words from one row to the next, from one pair to the next, or from one panel to the next.
  public var wordsPerUnit: Int { stride }

  /// Rounds rows `range` of `x` [M, K], each column multiplied by its scale.
  public func setRows(_ x: Matrix, _ range: Range<Int>, columnScales: Vector?) {
    precondition(layout == .rows && (x.columns + 1) / 2 == pairs, "rows of \(x.columns) values in \(pairs) pairs")
    Kernels.table.pointee.bf16_rows(
      Int64(range.count), Int64(x.columns), x.row(range.lowerBound), Int64(x.columns), columnScales?.pointer,
      words + range.lowerBound * stride, Int64(stride))
  }

  /// Rounds the rows of `x`, each multiplied by its scale, into the pairs from pair `first` on.
  public func setPairs(_ x: Matrix, from first: Int = 0, rowScales: Vector?) {
    precondition(
      layout == .pairs && first + (x.rows + 1) / 2 <= pairs && stride >= x.columns + 15,
      "\(x.rows) rows of \(x.columns) values from pair \(first) of \(pairs)")
    Kernels.table.pointee.bf16_pairs(
      Int64(x.rows), Int64(x.columns), x.pointer, Int64(x.columns), rowScales?.pointer, words + first * stride,
      Int64(stride))
  }
}

/// A part of the reduced dimension of a bfloat16 GEMM: one left and one right operand.
///
/// Products are summed in fp32 in one of two orders (`Kernels.sumsInTiles`): in `pairs`, pair after pair, the odd value of
/// a pair before the even one; in `tiles`, step after step of sixteen pairs of a part, where even and odd values have a
/// sum each. Subnormal numbers count as zero.
public struct BFloat16Product: BitwiseCopyable, @unchecked Sendable {
  private var operands: ck_bf16_product

  public init(_ a: BFloat16Operand, _ b: BFloat16Operand) {
    precondition(a.pairs == b.pairs, "a product of \(a.pairs) with \(b.pairs) pairs")
    precondition(a.layout != .panels && b.layout != .rows, "operands of a product in each other's layout")
    let ofRows = a.layout == .rows
    let ofPanels = b.layout == .panels
    operands = ck_bf16_product(
      a: a.words, a_row: ofRows ? Int64(a.stride) : 1, a_pair: ofRows ? 1 : Int64(a.stride), b: b.words,
      b_panel: ofPanels ? Int64(b.stride) : Int64(VectorLanes.count),
      b_pair: ofPanels ? Int64(VectorLanes.count) : Int64(b.stride), pairs: Int64(a.pairs))
  }

  /// Moves the left operand, whose layout is [pair, row], to the row `count` rows further.
  public mutating func advance(rows count: Int) { operands.a += count * Int(operands.a_row) }

  /// C ← C + A·B.
  public func add(to c: MatrixPart) { Self.multiply(self, bias: nil, into: c, accumulate: true) }

  /// C ← bias + A·B, with one bias for each column; nil counts as zeros.
  public func write(bias: Vector?, to c: MatrixPart) { Self.multiply(self, bias: bias, into: c, accumulate: false) }

  private static func multiply(_ product: BFloat16Product, bias: Vector?, into c: MatrixPart, accumulate: Bool) {
    withUnsafePointer(to: product.operands) {
      ck_gemm_bf16(
        Int64(c.rows), Int64(c.columns), $0, 1, bias?.pointer, c.pointer, Int64(c.stride), accumulate)
    }
  }

  /// C ← C + Σ A·B over `parts` in order, or C ← Σ A·B.
  public static func sum(_ parts: ArenaList<BFloat16Product>, into c: Matrix, accumulate: Bool) {
    parts.pointer.withMemoryRebound(to: ck_bf16_product.self, capacity: parts.count) {
      ck_gemm_bf16(
        Int64(c.rows), Int64(c.columns), $0, Int64(parts.count), nil, c.pointer, Int64(c.columns), accumulate)
    }
  }
}
