import CKernels
import Tensors

/// A stack of `count` weight matrices [rows, columns] packed in one number format, as products read them.
///
/// `ck_packed` (see `ck_kernels.h`) defines layout and padding: panels of sixteen rows, so that one vector lane is one
/// output, and every product adds its inputs in index order, whatever the number of tokens.
public final class PackedWeights: @unchecked Sendable {
  public let format: NumberFormat
  public let count: Int
  public let rows: Int
  public let columns: Int
  public let data: AlignedBuffer<UInt8>
  public let scales: AlignedBuffer<Float>
  public let descriptor: ck_packed

  /// - Parameter int4Group: inputs that share a scale in `int4`. A shorter row is one group; a longer row must be a
  ///   multiple of it.
  public init(format: NumberFormat, count: Int = 1, rows: Int, columns: Int, int4Group: Int = 64) {
    precondition(count > 0 && rows > 0 && columns > 0, "a stack of \(count) matrices [\(rows), \(columns)]")
    var packed = Self.describe(format, rows, columns, int4Group)
    data = AlignedBuffer(count: Int(packed.matrix_bytes) * count)
    scales = AlignedBuffer(count: Int(packed.matrix_scales) * count)
    packed.data = data.pointer
    packed.scales = scales.pointer
    descriptor = packed
    self.format = format
    self.count = count
    self.rows = rows
    self.columns = columns
  }

  /// A stack in memory that already has its contents, for example a mapped file.
  ///
  /// - Precondition: `data` and `scales` have the sizes of `storage(format:count:rows:columns:int4Group:)`.
  public init(
    format: NumberFormat, count: Int, rows: Int, columns: Int, int4Group: Int, data: AlignedBuffer<UInt8>,
    scales: AlignedBuffer<Float>
  ) {
    var packed = Self.describe(format, rows, columns, int4Group)
    precondition(
      data.count == Int(packed.matrix_bytes) * count && scales.count == Int(packed.matrix_scales) * count,
      "\(data.count) bytes and \(scales.count) scales for \(count) matrices [\(rows), \(columns)] in \(format)")
    packed.data = data.pointer
    packed.scales = scales.pointer
    descriptor = packed
    self.data = data
    self.scales = scales
    self.format = format
    self.count = count
    self.rows = rows
    self.columns = columns
  }

  /// The sizes of a stack's two memory blocks: bytes of codes, and number of scales.
  public static func storage(format: NumberFormat, count: Int, rows: Int, columns: Int, int4Group: Int)
    -> (bytes: Int, scales: Int)
  {
    let packed = describe(format, rows, columns, int4Group)
    return (count * Int(packed.matrix_bytes), count * Int(packed.matrix_scales))
  }

  private static func describe(_ format: NumberFormat, _ rows: Int, _ columns: Int, _ group: Int) -> ck_packed {
    precondition(
      format != .int4 || columns <= group || columns % group == 0,
      "int4 rows of \(columns) inputs do not divide into groups of \(group)")
    var packed = ck_packed()
    ck_packed_describe(&packed, format.code, Int32(rows), Int32(columns), Int32(group))
    return packed
  }

  /// Bytes of codes and scales for such a stack, padding included.
  public static func bytes(format: NumberFormat, count: Int, rows: Int, columns: Int, int4Group: Int) -> Int {
    let size = storage(format: format, count: count, rows: rows, columns: columns, int4Group: int4Group)
    return size.bytes + 4 * size.scales
  }

  /// Panels of sixteen rows in one matrix.
  public var panels: Int { VectorLanes.panels(rows) }

  /// The outputs of panels `range`.
  public func outputs(_ range: Range<Int>) -> Range<Int> {
    range.lowerBound * VectorLanes.count..<min(rows, range.upperBound * VectorLanes.count)
  }

  /// Packs fp32 masters [count, rows, columns].
  public func pack(_ masters: UnsafePointer<Float>, pool: WorkerPool) {
    let panels = panels
    pool.split(count * panels, cost: .moved(VectorLanes.count * columns)) { _, range in
      withUnsafePointer(to: descriptor) { packed in
        for index in range {
          let matrix = index / panels
          ck_pack(packed, Int64(matrix), Int64(index % panels), 1, masters + matrix * rows * columns)
        }
      }
    }
  }

  /// Writes the weight values in use of rows `range` of one matrix, as [range.count, columns].
  public func unpack(_ matrix: Int, rows range: Range<Int>, into values: UnsafeMutablePointer<Float>) {
    withUnsafePointer(to: descriptor) {
      ck_unpack($0, Int64(matrix), Int64(range.lowerBound), Int64(range.count), values)
    }
  }

  /// Writes the weight values in use of rows `range` of one matrix to rows `range` of `values` [range.count, columns].
  public func unpack(_ matrix: Int, rows range: Range<Int>, into values: Matrix) {
    precondition(
      values.rows == range.count && values.columns == columns,
      "\(range.count) rows of \(columns) inputs into [\(values.rows), \(values.columns)]")
    unpack(matrix, rows: range, into: values.pointer)
  }

  /// The panels `range` of the transpose of one matrix (sixteen inputs each), for input gradients: values rounded to
  /// bfloat16, or with `codes` the codes without their scales. `operand` receives them as its panels from 0 on.
  public func transposedPanels(_ matrix: Int, _ range: Range<Int>, codes: Bool, into operand: BFloat16Operand) {
    withUnsafePointer(to: descriptor) {
      Kernels.table.pointee.bf16_panels(
        $0, Int64(matrix), Int64(range.lowerBound), Int64(range.count), codes, operand.memory(0..<range.count).pointer)
    }
  }

  /// The panels of one bfloat16 matrix from panel `first` on, as the right operand of products.
  func bfloat16Panels(_ matrix: Int, from first: Int) -> BFloat16Operand {
    let words = UnsafeMutableRawPointer(data.pointer + matrix * Int(descriptor.matrix_bytes))
      .assumingMemoryBound(to: UInt32.self)
    return BFloat16Operand.panels(words, pairs: (columns + 1) / 2).dropping(first)
  }

  /// The scale of each row of one matrix, if a row has exactly one scale (ternary, int8, ungrouped int4); else nil.
  public func rowScales(_ matrix: Int) -> Vector? {
    guard format.isInteger, descriptor.groups == 1 else { return nil }
    return scales.view.part(matrix * Int(descriptor.matrix_scales)..<(matrix + 1) * Int(descriptor.matrix_scales))
  }

  /// Copies the codes of another stack of the same format and shape.
  public func copy(from other: PackedWeights) {
    precondition(
      format == other.format && count == other.count && rows == other.rows && columns == other.columns,
      "copy between stacks of different shape")
    data.pointer.update(from: other.data.pointer, count: data.count)
    scales.pointer.update(from: other.scales.pointer, count: scales.count)
  }
}

extension NumberFormat {
  /// The code of the kernels and of the packed files.
  public var code: Int32 {
    switch self {
    case .fp32: Int32(CK_FP32)
    case .fp16: Int32(CK_FP16)
    case .bf16: Int32(CK_BF16)
    case .ternary: Int32(CK_TERNARY)
    case .int4: Int32(CK_INT4)
    case .int8: Int32(CK_INT8)
    }
  }

  /// Whether activations are quantised to 8 bits (A8) and products are exact integers.
  public var isInteger: Bool { self == .ternary || self == .int4 || self == .int8 }
}
