import LowBit
import Tensors
import TestSupport
import Testing

@Suite("Packed weights")
struct PackedWeightsTests {
  private func unpacked(_ weights: PackedWeights) -> [Float] {
    var values = [Float](repeating: 0, count: weights.count * weights.rows * weights.columns)
    values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for matrix in 0..<weights.count {
        weights.unpack(matrix, rows: 0..<weights.rows, into: base + matrix * weights.rows * weights.columns)
      }
    }
    return values
  }

  private func packed(
    _ format: NumberFormat, count: Int = 1, rows: Int, columns: Int, group: Int = 64, threads: Int = 1, _ w: [Float]
  ) -> PackedWeights {
    let weights = PackedWeights(format: format, count: count, rows: rows, columns: columns, int4Group: group)
    weights.pack(w, pool: WorkerPool(threads: threads))
    return weights
  }

  @Test("Unpacked values are those of the format's formula in double", arguments: NumberFormat.allCases)
  func formulas(_ format: NumberFormat) {
    var numbers = RandomNumbers(seed: 21)
    let shapes: [(count: Int, rows: Int, columns: Int, group: Int)] = [
      (1, 1, 1, 64), (1, 16, 16, 64), (3, 17, 33, 64), (2, 31, 15, 16), (1, 48, 64, 64), (2, 15, 128, 64),
      (4, 7, 30, 10), (1, 33, 48, 16), (1, 3, 63, 64), (2, 5, 99, 33), (1, 129, 3, 3),
    ]
    for shape in shapes {
      let w = numbers.normals(shape.count * shape.rows * shape.columns, scale: 0.05)
      let values = unpacked(
        packed(format, count: shape.count, rows: shape.rows, columns: shape.columns, group: shape.group, w))
      let expected = WeightFormula.weights(format, w, columns: shape.columns, group: shape.group)
      // Scales are fp32, so values may be off by their rounding; floating formats are exact.
      let relative = format.isInteger ? 0x1p-22 : 0
      let wrong = zip(values, expected).filter { abs(Double($0) - $1) > relative * abs($1) }
      #expect(wrong.isEmpty, "\(shape): \(wrong.prefix(3))")
    }
  }

  @Test("Codes half way between two round to even")
  func ties() {
    // Mean |W| = 1, largest |W| = 7 and 127: the scale is 1 and codes are the rounded values.
    let ternary: [Float] = [0.5, 1.5, -0.5, -1.5, 1, -1, 1, -1, 0.5, 1.5]
    #expect(unpacked(packed(.ternary, rows: 1, columns: 10, ternary)) == [0, 1, 0, -1, 1, -1, 1, -1, 0, 1])
    let int4: [Float] = [7, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 6.5, -6.5, 5.5]
    #expect(unpacked(packed(.int4, rows: 1, columns: 10, int4)) == [7, 0, 2, 2, 0, -2, -2, 6, -6, 6])
    let int8: [Float] = [127, 0.5, 1.5, -2.5, 126.5, -126.5, 125.5, 3.5, -0.5, 4.5]
    #expect(unpacked(packed(.int8, rows: 1, columns: 10, int8)) == [127, 0, 2, -2, 126, -126, 126, 4, 0, 4])
    let bf16: [Float] = [0x1.01p0, 0x1.03p0, 0x1.01p-3, -0x1.03p5]
    #expect(unpacked(packed(.bf16, rows: 1, columns: 4, bf16)) == [1, 0x1.04p0, 0x1p-3, -0x1.04p5])
    let fp16: [Float] = [0x1.002p0, 0x1.006p0, 65504, 0x1p-25]
    #expect(unpacked(packed(.fp16, rows: 1, columns: 4, fp16)) == [1, 0x1.008p0, 65504, 0])
  }

  @Test("Zero rows stay zero with the smallest scale", arguments: [NumberFormat.ternary, .int4, .int8])
  func zeroRows(_ format: NumberFormat) {
    let weights = packed(format, rows: 2, columns: 20, group: 10, [Float](repeating: 0, count: 40))
    #expect(unpacked(weights).allSatisfy { $0 == 0 })
    let divisor: Float = format == .ternary ? 1 : format == .int4 ? 7 : 127
    #expect(weights.scales[0] == 1e-5 / divisor)
    // A row far below the floor rounds to zero; at the floor it does not.
    let tiny = packed(format, rows: 1, columns: 20, group: 20, [Float](repeating: 1e-8, count: 20))
    #expect(unpacked(tiny).allSatisfy { $0 == 0 })
    let floor = packed(format, rows: 1, columns: 20, group: 20, [Float](repeating: 1e-5, count: 20))
    #expect(unpacked(floor).allSatisfy { abs($0 - 1e-5) < 1e-11 })
  }

  @Test("Weights that are not finite pack without a trap", arguments: NumberFormat.allCases)
  func nonFinite(_ format: NumberFormat) {
    var w = [Float](repeating: 1, count: 3 * 18)
    w[2] = .nan
    w[18 + 17] = .infinity
    w[36] = -.infinity
    let values = unpacked(packed(format, rows: 3, columns: 18, w))
    #expect(values.count == 54)
    if !format.isInteger { #expect(values[2].isNaN && values[35] == .infinity && values[36] == -.infinity) }
  }

  @Test("The threads that pack change no byte", arguments: NumberFormat.allCases)
  func threads(_ format: NumberFormat) {
    var numbers = RandomNumbers(seed: 22)
    let w = numbers.normals(3 * 65 * 600)
    let one = packed(format, count: 3, rows: 65, columns: 600, group: 60, w)
    for threads in 2...3 {
      let other = packed(format, count: 3, rows: 65, columns: 600, group: 60, threads: threads, w)
      #expect(other.data.array == one.data.array && sameBits(other.scales.array, one.scales.array))
    }
    let copy = PackedWeights(format: format, count: 3, rows: 65, columns: 600, int4Group: 60)
    copy.copy(from: one)
    #expect(copy.data.array == one.data.array && sameBits(copy.scales.array, one.scales.array))
  }

  @Test("A stack takes the bytes that its format says")
  func sizes() {
    // 17 rows are two panels of sixteen; 33 inputs pad to 48 in integer formats, to 34 in bf16.
    let expected: [NumberFormat: Int] = [
      .fp32: 2 * 33 * 64, .fp16: 2 * 33 * 32, .bf16: 2 * 34 * 32, .ternary: 2 * 48 * 4 + 4 * 32,
      .int4: 2 * 48 * 8 + 4 * 32, .int8: 2 * 48 * 16 + 4 * 32,
    ]
    for (format, bytes) in expected {
      #expect(PackedWeights.bytes(format: format, count: 3, rows: 17, columns: 33, int4Group: 64) == 3 * bytes)
    }
    // Two groups of 33 pad to 48 each and have a scale each.
    #expect(
      PackedWeights.bytes(format: .int4, count: 1, rows: 17, columns: 66, int4Group: 33) == 2 * 96 * 8 + 4 * 2 * 32)
  }
}
