import CKernels
import Tensors
import TestSupport
import Testing

/// Products on tiles (`amx` where the machine has them, `amx-emulated` everywhere) in the shapes that they take in blocks:
/// rows of tiles, strips of panels, and parts of long rows.
@Suite("Products on tiles")
struct TileProductTests {
  private static let tables = KernelTable.all.filter { $0.pointer.pointee.has_tiles }

  struct Shape: Sendable, CustomTestStringConvertible {
    let format: Int
    let rows: Int
    let columns: Int
    var group = 1 << 20
    var testDescription: String { "format \(format), [\(rows), \(columns)], groups of \(group)" }
  }

  static let shapes: [Shape] =
    [CK_TERNARY, CK_INT4, CK_INT8].flatMap { format in
      [
        // One to five panels, and inputs that end within a tile.
        Shape(format: format, rows: 16, columns: 64), Shape(format: format, rows: 33, columns: 100),
        Shape(format: format, rows: 49, columns: 129), Shape(format: format, rows: 80, columns: 192),
      ]
    } + [
      // Groups of one tile, of less, of more, and with a part of a tile.
      Shape(format: CK_INT4, rows: 49, columns: 640, group: 64),
      Shape(format: CK_INT4, rows: 17, columns: 144, group: 48),
      Shape(format: CK_INT4, rows: 33, columns: 240, group: 80),
      Shape(format: CK_INT4, rows: 16, columns: 384, group: 128),
    ]

  @Test("1 to 70 tokens give the bits of the scalar specification", arguments: tables, shapes)
  func tokens(_ table: KernelTable, _ shape: Shape) {
    for tokens in 1...70 where tokens % 16 < 3 || tokens % 5 == 0 { expectExact(table, shape, tokens: tokens) }
  }

  /// Rows longer than the 32 tiles that are widened at a time, with more tokens than share them.
  static let longShapes =
    [CK_TERNARY, CK_INT4, CK_INT8].map { Shape(format: $0, rows: 5, columns: 4200) }
    + [
      Shape(format: CK_INT4, rows: 5, columns: 4224, group: 64),
      Shape(format: CK_INT4, rows: 5, columns: 3 * 1408, group: 1408),
    ]

  @Test("Long rows with many tokens give the bits of the scalar specification", arguments: tables, longShapes)
  func longRows(_ table: KernelTable, _ shape: Shape) {
    for tokens in [31, 150] { expectExact(table, shape, tokens: tokens) }
  }

  private func expectExact(_ table: KernelTable, _ shape: Shape, tokens: Int) {
    var numbers = RandomNumbers(seed: UInt64(tokens))
    let weights = PackedMatrices(
      shape.format, count: 2, rows: shape.rows, columns: shape.columns, group: shape.group,
      masters: numbers.normals(2 * shape.rows * shape.columns))
    var descriptor = weights.descriptor
    let x = numbers.normals(tokens * shape.columns)
    let bias = tokens % 2 == 0 ? numbers.normals(shape.rows) : nil
    let activations = ActivationBuffer(rows: tokens, like: descriptor)
    var described = activations.descriptor
    ck_reference_quantize_a8(Int64(tokens), Int64(shape.columns), x, Int64(shape.columns), &described)
    let row = shape.rows + 2
    var expected = [Float](repeating: 7, count: tokens * row)
    var actual = expected
    ck_reference_gemm_a8(Int64(tokens), &described, &descriptor, 1, bias, &expected, Int64(row))
    table.pointer.pointee.gemm_a8(
      Int64(tokens), &described, &descriptor, 1, 0, Int64((shape.rows + 15) / 16), bias, &actual, Int64(row))
    #expect(sameBits(actual, expected), "tokens \(tokens)")
  }

  @Test("A part of the panels gives the same bits as the whole", arguments: tables)
  func panels(_ table: KernelTable) {
    var numbers = RandomNumbers(seed: 71)
    for format in [CK_TERNARY, CK_INT4, CK_INT8] {
      let (rows, columns, tokens) = (16 * 7 - 3, 128, 20)
      let weights = PackedMatrices(
        format, rows: rows, columns: columns, group: 64, masters: numbers.normals(rows * columns))
      var descriptor = weights.descriptor
      let activations = ActivationBuffer(rows: tokens, like: descriptor)
      var described = activations.descriptor
      let x = numbers.normals(tokens * columns)
      table.pointer.pointee.quantize_a8(Int64(tokens), Int64(columns), x, Int64(columns), &described)
      var (whole, parts) = ([Float](repeating: 0, count: tokens * rows), [Float](repeating: 0, count: tokens * rows))
      table.pointer.pointee.gemm_a8(Int64(tokens), &described, &descriptor, 0, 0, 7, nil, &whole, Int64(rows))
      for (first, count) in [(0, 1), (1, 3), (4, 3)] {
        parts.withUnsafeMutableBufferPointer {
          table.pointer.pointee.gemm_a8(
            Int64(tokens), &described, &descriptor, 0, Int64(first), Int64(count), nil, $0.baseAddress! + 16 * first,
            Int64(rows))
        }
      }
      #expect(sameBits(parts, whole), "format \(format)")
    }
  }
}
